"""JSON lines: the bulk reader gives what the reader by line gives, which defines the result."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dch.data.readers import jsonlines
from dch.data.readers.jsonlines import read_jsonlines
from dch.errors import RatingsError

IDS = st.sampled_from(["u", 1, 1.0, " pad ", "", None, "1.0", True, 2**60, "\ud800", "2021-05-01"])
RATINGS = st.sampled_from([4, 4.5, -1e3, None, "5", "x", 1e39, True])
TIMES = st.sampled_from([978300760, 978300760.25, 1700000000000, 0, None, "", "2021-05-01T10:00:00Z", 7, "x"])
LINES = st.fixed_dictionaries(
    {"user": IDS, "item": IDS}, optional={"rating": RATINGS, "timestamp": TIMES, "note": IDS}
)


def outcome(file):
    try:
        return [None if column is None else list(map(str, column)) for column in read_jsonlines(file)]
    except RatingsError as error:
        return str(error)


@given(st.lists(LINES, max_size=6))
def test_the_bulk_reader_gives_the_result_of_the_reader_by_line(tmp_path_factory, lines):
    file = tmp_path_factory.mktemp("lines") / "r.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonlines, "_read_in_bulk", lambda *_: None)
        slow = outcome(file)
    assert outcome(file) == slow


LINE = '{"user": "u", "item": "i", "rating": 4}'
PIECES = st.sampled_from(
    [
        *(LINE, '{"user": "u",', '"item": "i", "rating": 1}', "{}", "[]", "\n{", "}\n", "\n", "\r", " "),
        '{"user": "u", "user": "v", "item": "i", "rating": 0.1}',
        '{"rating": NaN, "user": "u", "item": "i"}',
    ]
)


@given(st.lists(PIECES, max_size=8))
def test_the_bulk_reader_gives_the_result_of_the_reader_by_line_for_any_text(tmp_path_factory, pieces):
    file = tmp_path_factory.mktemp("lines") / "r.jsonl"
    file.write_bytes("\n".join([LINE, "".join(pieces)]).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonlines, "_read_in_bulk", lambda *_: None)
        slow = outcome(file)
    assert outcome(file) == slow


def test_usual_lines_are_read_in_bulk(tmp_path, monkeypatch):
    rows = [
        {"user": f"u{n}", "item": n, "rating": n % 5, "timestamp": 1_700_000_000 + n, "x": {}}
        for n in range(50)
    ]
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, rows)))
    monkeypatch.setattr(jsonlines, "_read_by_line", None)
    found = read_jsonlines(tmp_path / "r.jsonl")
    assert found.users == [row["user"] for row in rows]
    assert found.items == [str(n) for n in range(50)]
    assert np.array_equal(found.ratings, [n % 5 for n in range(50)])
    assert found.timestamps.tolist() == [1_700_000_000_000 + 1000 * n for n in range(50)]
