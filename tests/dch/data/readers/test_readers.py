"""Every format gives the same ratings; errors name the file and the line."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dch.data.ratings import Ratings
from dch.errors import RatingsError

EVENTS = [("u1", "i1", 4.0, 978300760), ("u2", "i1", 2.5, 978300761), ("u1", "i2", 5.0, 978300762)]


def delimited(separator, header):
    lines = [header] if header else []
    return "\n".join(lines + [separator.join(map(str, event)) for event in EVENTS]) + "\n"


def json_lines():
    keys = ("user", "item", "rating", "timestamp")
    return "\n".join(json.dumps(dict(zip(keys, event, strict=True))) for event in EVENTS)


TEXTS = {
    "ratings.csv": delimited(",", "user,item,rating,timestamp"),
    "anything.tsv": delimited("\t", "user_id\titem_id\trating\ttimestamp"),
    "quoted.csv": delimited(",", "userId,movieId,rating,timestamp").replace("u1", '"u1"'),
    "u.data": delimited("\t", None),
    "ratings.dat": delimited("::", None),
    "ml.inter": delimited("\t", "user_id:token\titem_id:token\trating:float\ttimestamp:float"),
    "ratings.jsonl": json_lines(),
    "ratings.ndjson": json_lines() + "\n\n",
}


def events_of(ratings):
    """Return the ratings as tuples, oldest first."""
    users = [ratings.user_ids[row] for row in ratings.users]
    items = [ratings.item_ids[row] for row in ratings.items]
    return list(zip(users, items, ratings.values.tolist(), ratings.timestamps.tolist(), strict=True))


IN_MILLISECONDS = [(user, item, rating, 1000 * time) for user, item, rating, time in EVENTS]


@pytest.mark.parametrize("name", TEXTS)
def test_every_text_format_gives_the_same_ratings(tmp_path, name):
    (tmp_path / name).write_text(TEXTS[name])
    assert events_of(Ratings.read(tmp_path / name)) == IN_MILLISECONDS


@pytest.mark.parametrize("name", TEXTS)
def test_every_text_format_may_be_gzipped(tmp_path, name):
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(TEXTS[name].encode()))
    assert events_of(Ratings.read(tmp_path / f"{name}.gz")) == IN_MILLISECONDS


def test_parquet_gives_the_same_ratings(tmp_path):
    users, items, ratings, times = zip(*EVENTS, strict=True)
    columns = {"note": [None] * 3, "user_id": users, "item_id": items, "rating": ratings, "timestamp": times}
    pq.write_table(pa.table(columns), tmp_path / "ratings.parquet")
    assert events_of(Ratings.read(tmp_path / "ratings.parquet")) == IN_MILLISECONDS


def test_parquet_may_have_timestamp_columns_and_integer_ids(tmp_path):
    times = pa.array([1000 * time for *_, time in EVENTS], pa.timestamp("ms"))
    table = pa.table({"user": [1, 2, 1], "item": [7, 7, 8], "rating": [4, 2, 5], "timestamp": times})
    pq.write_table(table, tmp_path / "ratings.parquet")
    found = events_of(Ratings.read(tmp_path / "ratings.parquet"))
    assert found[0] == ("1", "7", 4.0, 978300760000)


def test_a_null_rating_withdraws(tmp_path):
    lines = [
        '{"user": "u", "item": "i", "rating": 5, "timestamp": 1700000000000}',
        '{"user": "u", "item": "j", "rating": 4, "timestamp": 1700000000000}',
        '{"user": "u", "item": "i", "rating": null, "timestamp": 1700000000001}',
    ]
    (tmp_path / "ratings.jsonl").write_text("\n".join(lines))
    assert events_of(Ratings.read(tmp_path / "ratings.jsonl")) == [("u", "j", 4.0, 1700000000000)]
    pq.write_table(
        pa.table({"user": ["u", "u"], "item": ["i", "i"], "rating": [5.0, None]}), tmp_path / "r.parquet"
    )
    assert len(Ratings.read(tmp_path / "r.parquet")) == 0


def test_a_file_without_times_keeps_the_last_rating_of_a_pair(tmp_path):
    (tmp_path / "ratings.csv").write_text("rating,item,user,split\n1,i,u,0\n5,i,u,1\n")
    assert events_of(Ratings.read(tmp_path / "ratings.csv")) == [("u", "i", 5.0, 0)]


@pytest.mark.parametrize(
    ("written", "milliseconds"),
    [
        ("631152000", 631_152_000_000),  # 1990
        ("4102444799", 4_102_444_799_000),  # 2099
        ("631152000000", 631_152_000_000),
        ("1700000000123456", 1_700_000_000_123),
        ("1700000000123456789", 1_700_000_000_123),
        ("2023-11-14T22:13:20Z", 1_700_000_000_000),
        ("2023-11-14 22:13:20 UTC", 1_700_000_000_000),
        ('"2023-11-14T23:13:20.5+01:00"', 1_700_000_000_500),
    ],
)
def test_the_unit_of_a_time_is_decided_value_by_value(tmp_path, written, milliseconds):
    text = f"user,item,rating,timestamp\nu,i,1,1000000000\nv,i,1,{written}\n"
    (tmp_path / "ratings.csv").write_text(text)
    assert sorted(Ratings.read(tmp_path / "ratings.csv").timestamps) == sorted([10**12, milliseconds])


@pytest.mark.parametrize("odd", ["99999999999", "253402300799", "-1000", "5", "9999-12-31", "1969-12-31"])
@pytest.mark.parametrize("name", ["r.csv", "r.jsonl", "r.parquet"])
def test_a_time_out_of_range_is_refused_with_its_line(tmp_path, name, odd):
    times = ["2021-05-01", odd] if "-" in odd[1:] else [1_700_000_000, int(odd)]
    if name == "r.csv":
        (tmp_path / name).write_text(f"user,item,rating,time\nu,i,1,{times[0]}\nu,j,1,{times[1]}\n")
    elif name == "r.jsonl":
        rows = [{"user": "u", "item": n, "rating": 1, "time": time} for n, time in enumerate(times)]
        (tmp_path / name).write_text("\n".join(map(json.dumps, rows)))
    else:
        columns = {"user": ["u", "u"], "item": ["i", "j"], "rating": [1, 1], "time": times}
        pq.write_table(pa.table(columns), tmp_path / name)
    row = {"r.csv": ":3", "r.jsonl": ":2", "r.parquet": ": row 2"}[name]
    with pytest.raises(RatingsError, match=f"{name}{row}: timestamp: expected a time from 1990 to 2099"):
        Ratings.read(tmp_path / name)


def test_a_file_whose_times_are_all_small_is_read_as_an_order_and_says_so(tmp_path, caplog):
    (tmp_path / "r.csv").write_text("user,item,rating,timestamp\nu,i,5,30\nu,j,2,20\nu,i,1,10\n")
    assert events_of(Ratings.read(tmp_path / "r.csv")) == [("u", "j", 2.0, 20), ("u", "i", 5.0, 30)]
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / 'r.csv'}: the times are all small, 10 to 30, so they are read as an order and no "
        "rating has a time; --time-column (in Python time_column) names another column"
    ]


def test_nothing_in_place_of_a_time_is_no_time_and_is_counted(tmp_path, caplog):
    (tmp_path / "r.csv").write_text("user,item,rating,timestamp\nu,i,5,\nu,j,2,1700000000\nv,i,1,0\n")
    assert Ratings.read(tmp_path / "r.csv").timestamps.tolist() == [0, 0, 1_700_000_000_000]
    assert "2 of 3 ratings have no time" in caplog.text


def test_fractions_of_a_second_are_kept(tmp_path):
    (tmp_path / "ratings.csv").write_text("user,item,rating,timestamp\nu,i,1,978300760.25\n")
    assert Ratings.read(tmp_path / "ratings.csv").timestamps.tolist() == [978300760250]


def test_a_file_with_only_a_header_has_no_ratings(tmp_path):
    (tmp_path / "ratings.csv").write_text("user,item,rating\n")
    assert len(Ratings.read(tmp_path / "ratings.csv")) == 0


BAD = [
    ("a.csv", "user,item,rating\nu,i,1\nu,j,abc\n", ":3: rating: expected a finite number, got 'abc'"),
    ("a.csv", "user,item,rating\nu,i,\n", ":2: rating: expected a finite number, got ''"),
    (
        "a.csv",
        "user;item;rating\nu;i;3,5\n",
        ":2: rating: expected a finite number, got '3,5'; replace decimal commas by points, as in 3.5",
    ),
    ("a.csv", "user,item,rating\nu,i,nan\n", ":2: rating: expected a finite number, got 'nan'"),
    ("a.csv", "user,item,rating\nu,i,1e39\n", ":2: rating: expected a finite number, got '1e39'"),
    ("a.csv", "user,item,rating\nu,,1\n", ":2: item: expected an id, got ''"),
    ("a.csv", "user,item,rating\nu,i,1\nu,i\n", ":3: expected 3 columns, found 2"),
    (
        "a.csv",
        "person,thing,rating\nu,i,1\n",
        ":1: no column for the user, found 'person, thing, rating'; name it 'user' or 'userid', or give "
        "--user-column (in Python user_column)",
    ),
    (
        "a.csv",
        "A1,0001,5.0\nA2,0001,3.0\n",
        ":1: no column for the user, found 'A1, 0001, 5.0'; name it 'user' or 'userid', or give "
        "--user-column (in Python user_column); if this line is a rating "
        "and there is no header, give --no-header (in Python header=False)",
    ),
    (
        "a.csv",
        "u1 i1 5\n",
        ":1: no column for the user, found 'u1 i1 5'; name it 'user' or 'userid', or give "
        "--user-column (in Python user_column); if these are many columns, "
        "give --delimiter (in Python delimiter), such as space",
    ),
    (
        "a.csv",
        "user,item,count\nu,i,view\n",
        ":2: rating: expected a finite number, got 'view'; --rating-column "
        "(in Python rating_column) names another column, or none",
    ),
    ("a.csv", "", ": the file is empty"),
    (
        "a.csv",
        "\n",
        ":1: no column for the user, found ''; name it 'user' or 'userid', or give --user-column (in Python "
        "user_column); its first line is empty",
    ),
    (
        "a.csv",
        "user,item,rating,timestamp\nu,i,1,1700000000000000\nu,j,1,17000\n",
        ":3: timestamp: expected a time from 1990 to 2099, as s, ms, us or ns since 1970 or as ISO text, "
        "got '17000'",
    ),
    ("u.data", "u\ti\t1\t978300760\nu\tj\tx\t978300760\n", ":2: rating: expected a finite number, got 'x'"),
    ("r.dat", "u::i::1::x\n", ":1: timestamp: expected a time from 1990 to 2099"),
    ("r.inter", "user_id:token\titem_id:token\trating:float\nu\ti\n", ":2: expected 3 columns, found 2"),
    ("r.jsonl", '{"user": "u", "item": "i", "rating": 1}\n{"user": 1\n', ":2: expected a JSON object, got"),
    ("r.jsonl", "[1]\n", ":1: expected a JSON object, got '[1]'"),
    (
        "r.jsonl",
        '\n{"user": "u", "item": "i", "rating": 1}\n{"user": "u", "item": "i"}\n',
        ":3: rating: expected a number, or null to withdraw, but the key is missing",
    ),
    ("r.jsonl", '{"user": "u", "item": true, "rating": 1}\n', ":1: item: expected an id, got True"),
    (
        "r.jsonl",
        '{"item": "i", "rating": 1}\n',
        ":1: no column for the user, found 'item, rating'; name it 'user'",
    ),
    (
        "r.jsonl",
        '{"user": "u", "item": "i", "rating": 4}\n{"user": "u", "item": "j", "rating": 4, "timestamp": 1}',
        ":2: timestamp: expected none, because the first line has none",
    ),
]


@pytest.mark.parametrize(("name", "text", "message"), BAD)
def test_an_error_names_the_line_and_the_value_found(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(RatingsError) as error:
        Ratings.read(tmp_path / name)
    assert str(error.value).startswith(f"{tmp_path / name}{message}")


ENDLESS = '"' + "u,i,1\n" * 40_000
"""A quote that is never closed, in text longer than the limit of a CSV cell."""


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", f"user,item,rating\nu,i,1\n{ENDLESS}", ":3: cannot be read as CSV: field larger than"),
        ("a.tsv", f"user\titem\trating\n{ENDLESS}", ":2: cannot be read as CSV: field larger than"),
        ("a.csv", f"{ENDLESS}", ":1: cannot be read as CSV: field larger than"),
        (
            "a.csv",
            'user,item,rating,x\nu,i,1,"a\nv,i,2,b\n',
            ":2: cannot be read as CSV: a quote is not closed",
        ),
        (
            "a.csv",
            'user,item,rating,x\nu",i,1,a\nv,i,2,"b',
            ":3: cannot be read as CSV: a quote is not closed",
        ),
        ("a.jsonl", f"{{}}\n{json_lines()}", ":1: no column for the user, found ''"),
        ("a.jsonl", f"{json_lines()}\n{{}} {{}}", ":4: expected a JSON object, got '{} {}'"),
        ("a.csv", "user,item,rating\nu,i,1\n" + "9" * 5000 + ".0,i,1", ":3: user: expected an id, got inf"),
        ("a.csv", "user,item,rating\ru,i,1\r", ":1: cannot be read as CSV: new-line character seen"),
        ("a.csv", "user,item,rating\nu,i,1\ru,j,x\r", ":2: cannot be read as CSV: new-line character seen"),
        ("a.jsonl", '{"user": ' + "[" * 100_000, ":1: expected a JSON object, got"),
        ("a.jsonl", "\n" + "[" * 50_000 + "]" * 50_000, ":2: expected a JSON object, got"),
    ],
)
def test_an_error_of_the_parser_names_file_and_line(tmp_path, name, text, message):
    (tmp_path / name).write_text(text, newline="")
    with pytest.raises(RatingsError) as error:
        Ratings.read(tmp_path / name)
    assert str(error.value).startswith(f"{tmp_path / name}{message}")
    assert len(str(error.value)) < len(str(tmp_path)) + 250


def test_an_error_in_the_encoding_names_the_bytes(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"user,item,rating\nu\xff,i,1\n")
    with pytest.raises(RatingsError, match=r"a.csv:2: expected text in UTF-8, found b'\\xff'"):
        Ratings.read(tmp_path / "a.csv")


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "u.data"])
def test_gzipped_data_under_another_name_is_said_to_be_that(tmp_path, name):
    (tmp_path / name).write_bytes(gzip.compress(TEXTS["ratings.csv"].encode()))
    with pytest.raises(
        RatingsError, match=r":1: expected text, found gzipped data; end the name of the file with .gz"
    ):
        Ratings.read(tmp_path / name)


def test_an_error_in_a_truncated_gzip_file_names_the_line(tmp_path):
    whole = gzip.compress((TEXTS["ratings.csv"] + "u,i,1,978300760\n" * 100).encode())
    (tmp_path / "a.csv.gz").write_bytes(whole[:-20])
    with pytest.raises(RatingsError, match=r"a.csv.gz:\d+: cannot be read: "):
        Ratings.read(tmp_path / "a.csv.gz")


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("rating", [1.0, float("inf")], "row 2: rating: expected a finite number, got inf"),
        ("rating", ["1", "x"], "row 2: rating: expected a finite number, got 'x'"),
        (
            "item",
            [1.0, 2.0**60],
            "row 2: item: expected an id, got 1.152921504606847e+18, a float that has lost "
            "the last digits of the id; keep ids as integers or as text",
        ),
    ],
)
def test_an_error_in_a_parquet_file_names_the_row(tmp_path, column, values, message):
    columns = {"user": ["u", "v"], "item": ["i", "j"], "rating": [1.0, 2.0]} | {column: values}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(RatingsError) as error:
        Ratings.read(tmp_path / "a.parquet")
    assert str(error.value) == f"{tmp_path / 'a.parquet'}: {message}"


def test_a_file_that_is_not_parquet_is_an_error(tmp_path):
    (tmp_path / "a.parquet").write_text("user,item,rating\n")
    with pytest.raises(RatingsError, match=r"a.parquet: cannot be read as Parquet"):
        Ratings.read(tmp_path / "a.parquet")
