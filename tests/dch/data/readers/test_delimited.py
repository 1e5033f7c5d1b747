"""Compare the bulk reader with the reader by line, which defines the correct result."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dch.data.readers.delimited import Layout, read_by_line, read_in_bulk
from dch.errors import RatingsError

LAYOUT = Layout(",", quotes=True)
COLUMNS = {"user": 0, "item": 1, "rating": 2, "timestamp": 3}
IDS = st.sampled_from(
    [
        "u",
        "1",
        "1.0",
        '"a,b"',
        '"say ""x"""',
        "é",
        " pad",
        "NA",
        "null",
        "",
        "7.0",
        "1e+2",
        'a"b',
        '"open',
        "\xa0u",
        '"two\nlines"',
        '\xa0"q"',
    ]
)
RATINGS = st.sampled_from(["4", "4.5", "-1e3", "0.1"])
TIMES = st.sampled_from(
    ["978300760", "978300760.25", "1700000000000", "0", "", "2021-05-01T10:00:00Z", " 978300761 ", "7"]
)
BAD = st.sampled_from(["", "x", "nan", "inf", "1e400", "1_0", "0x1", "9" * 20])
LINES = st.tuples(IDS, IDS, RATINGS | BAD, TIMES | BAD) | st.tuples(IDS, IDS, RATINGS, TIMES)


@given(st.lists(LINES, max_size=6), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_the_bulk_reader_gives_the_result_of_the_reader_by_line_or_rejects_the_file(
    lines, line_end, ends_in_newline
):
    text = line_end.join(["user,item,rating,timestamp", *map(",".join, lines)]) + line_end * ends_in_newline
    with TemporaryDirectory() as folder:
        file = Path(folder) / "ratings.csv"
        file.write_bytes(text.encode())
        bulk = read_in_bulk(file, LAYOUT, COLUMNS, 4)
        try:
            slow = read_by_line(file, LAYOUT, COLUMNS)
        except RatingsError:
            assert bulk is None
            return
    assert bulk is None or all(np.array_equal(one, other) for one, other in zip(bulk, slow, strict=True))
    assert bulk is not None or not lines
