"""Files as people have them: other names, separators, encodings, no header, no ratings."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dch.data.ratings import Ratings
from dch.errors import ConfigError, RatingsError


def read(folder, text, name="r.csv", encoding="utf-8", **options):
    """Return (user, item, rating, time) of each rating, oldest first."""
    content = text.encode(encoding)
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    ratings = Ratings.read(folder / name, **options)
    users = [ratings.user_ids[row] for row in ratings.users]
    items = [ratings.item_ids[row] for row in ratings.items]
    return list(zip(users, items, ratings.values.tolist(), ratings.timestamps.tolist(), strict=True))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", "::"])
@pytest.mark.parametrize("name", ["r.csv", "r.tsv", "r.dat", "r.csv.gz"])
def test_the_separator_is_found_in_the_first_line(tmp_path, separator, name):
    text = "\n".join(["User-ID,ISBN,Book-Rating", "276,0345,0", "277,0346,8", ""]).replace(",", separator)
    assert read(tmp_path, text, name) == [("276", "0345", 0.0, 0), ("277", "0346", 8.0, 0)]


@pytest.mark.parametrize(
    "names", ["user id,movie-id,User_Rating", "reviewerID,asin,overall", "visitorid,itemid,weight"]
)
def test_names_may_have_blanks_hyphens_and_underscores(tmp_path, names):
    assert read(tmp_path, f"{names}\nu,i,3\n") == [("u", "i", 3.0, 0)]


def test_columns_may_be_named_or_numbered(tmp_path):
    text = "who,what,when,how much\nu,i,2021-05-01,3\n"
    options = {"user_column": "who", "item_column": "2", "time_column": "When", "rating_column": "how_much"}
    assert read(tmp_path, text, **options) == [("u", "i", 3.0, 1_619_827_200_000)]
    assert read(tmp_path, text, **options | {"time_column": "none", "rating_column": "none"}) == [
        ("u", "i", 1.0, 0)
    ]
    message = (
        r"r.csv:1: no column 'who' for the user, found 'a, b'; give --user-column \(in Python user_column\)"
    )
    with pytest.raises(RatingsError, match=message):
        read(tmp_path, "a,b\n", user_column="who")
    with pytest.raises(RatingsError, match=r"the columns for user and item are the same one"):
        read(tmp_path, text, user_column="who", item_column="1")
    numbered = options | {"user_column": 1, "item_column": 2}
    assert read(tmp_path, text, **numbered) == [("u", "i", 3.0, 1_619_827_200_000)]
    with pytest.raises(RatingsError, match=r"no column '5' for the item, .* or its number, 1 to 4"):
        read(tmp_path, text, user_column=1, item_column=5)


@pytest.mark.parametrize("name", ["r.csv", "r.jsonl", "r.parquet"])
def test_an_event_without_a_rating_counts_one_and_a_warning_says_so(tmp_path, name, caplog):
    rows = [{"user": "u", "item": "i", "event": "view"}, {"user": "v", "item": "i", "event": "buy"}]
    if name == "r.parquet":
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / name)
        values = Ratings.read(tmp_path / name).values.tolist()
    else:
        lines = [json.dumps(row) for row in rows]
        text = "\n".join(lines if name == "r.jsonl" else ["user,item,event", "u,i,view", "v,i,buy"])
        values = [event[2] for event in read(tmp_path, text, name)]
    assert values == [1.0, 1.0]
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / name}: no column is known as the rating, so each line counts 1; columns that are not "
        "used: event; --rating-column (in Python rating_column) says which one is the rating"
    ]
    caplog.clear()
    Ratings.read(tmp_path / name, rating_column="none")
    assert not caplog.records


def test_a_file_without_a_header_is_read_when_the_caller_says_so(tmp_path):
    text = "A1,0001,5.0,1393545600\nA2,0001,3.0,1393545601\n"
    expected = [("A1", "0001", 5.0, 1_393_545_600_000), ("A2", "0001", 3.0, 1_393_545_601_000)]
    assert read(tmp_path, text, header=False) == expected
    swapped = read(tmp_path, text, header=False, user_column="2", item_column="1")
    assert [event[:2] for event in swapped] == [("0001", "A1"), ("0001", "A2")]
    assert read(tmp_path, "A1 7\n", header=False, delimiter="space") == [("A1", "7", 1.0, 0)]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "utf-8", "gb18030"])
@pytest.mark.parametrize(
    "text", ["user,item,rating\nJos\u00e9,i1,5\n", 'user,item,rating\nJos\u00e9, "i1",5\n']
)
def test_an_encoding_can_be_given(tmp_path, encoding, text):
    (tmp_path / "r.csv").write_bytes(text.encode(encoding))
    ratings = Ratings.read(tmp_path / "r.csv", encoding=encoding)
    assert (ratings.user_ids.ids(), ratings.item_ids.ids()) == (["Jos\u00e9"], ["i1"])


def test_a_wrong_encoding_says_which_option_helps(tmp_path):
    with pytest.raises(
        RatingsError, match=r"r.csv:2: expected text in UTF-8, found b'\\xe9'.*give --encoding latin-1"
    ):
        read(tmp_path, "user,item,rating\nJos\u00e9,i1,5\n", encoding="latin-1")
    with pytest.raises(RatingsError, match=r"r.csv:1: .*give --encoding utf-16"):
        read(tmp_path, "user,item,rating\n", encoding="utf-16")
    with pytest.raises(ConfigError, match="encoding must be known to Python"):
        Ratings.read(tmp_path / "r.csv", encoding="klingon")


def test_an_option_that_does_not_suit_the_format_is_refused(tmp_path):
    (tmp_path / "r.jsonl").write_text("{}")
    with pytest.raises(
        ConfigError, match=r"delimiter and header are for text files with columns, not for \*.jsonl"
    ):
        Ratings.read(tmp_path / "r.jsonl", delimiter=";")


@pytest.mark.parametrize("name", ["r.jsonl", "r.json", "r.ndjson", "r.json.gz"])
@pytest.mark.parametrize(
    "line",
    [
        {
            "reviewerID": "A1",
            "asin": "B1",
            "overall": 5.0,
            "unixReviewTime": 1_393_545_600,
            "reviewText": "fine",
        },
        {"user_id": "A1", "parent_asin": "B1", "asin": "x", "rating": 5, "timestamp": 1_393_545_600_000},
        {"userId": "A1", "business_id": " B1 ", "stars": 5.0, "date": "2014-02-28 00:00:00"},
    ],
)
def test_json_lines_take_the_names_that_csv_takes(tmp_path, name, line):
    text = "\n".join(json.dumps(one) for one in (line, line))
    assert read(tmp_path, text, name) == [("A1", "B1", 5.0, 1_393_545_600_000)]


def test_a_json_file_may_be_one_list(tmp_path):
    rows = [{"user": 1, "item": n, "rating": n} for n in range(1, 4)]
    expected = [("1", str(n), float(n), 0) for n in range(1, 4)]
    assert read(tmp_path, json.dumps(rows, indent=1), "r.json") == expected
    with pytest.raises(RatingsError, match=r"r.json: object 2: expected a JSON object, got 7"):
        read(tmp_path, json.dumps([rows[0], 7]), "r.json")


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("123.0,9,4\n124.0,9,3\n", ["123", "124"]),
        ("7.50,9,4\n", ["7.50"]),
        ("1e5,9,4\n", ["1e5"]),
        ("007,9,1\n", ["007"]),
    ],
)
def test_whole_floats_as_ids_are_integers(tmp_path, text, ids):
    assert [event[0] for event in read(tmp_path, "user,item,rating\n" + text)] == ids


def test_whole_floats_as_ids_are_integers_in_json_and_parquet_too(tmp_path):
    assert read(tmp_path, '{"user": 123.0, "item": 9, "rating": 4}', "r.jsonl")[0][:2] == ("123", "9")
    pq.write_table(
        pa.table({"user": [123.0, None], "item": [9, 9], "rating": [4, 4]}), tmp_path / "r.parquet"
    )
    assert Ratings.read(tmp_path / "r.parquet").user_ids.ids() == ["123"]


@pytest.mark.parametrize("lost", ["12345678901234567890.0", "1.2345678901234568e+19"])
def test_an_id_that_has_lost_digits_is_refused(tmp_path, lost):
    with pytest.raises(
        RatingsError, match=r"r.csv:3: user: expected an id, got 1.23.*e\+19, a float that has lost"
    ):
        read(tmp_path, f"user,item,rating\nu,i,1\n{lost},i,1\n")


def test_lines_without_an_id_are_left_out_and_counted(tmp_path, caplog):
    assert read(tmp_path, "user,item,rating\n123.0,9,4\n,9,2\n5, ,2\n") == [("123", "9", 4.0, 0)]
    assert "2 of 3 lines have no user or no item and are left out" in caplog.text


def test_blanks_around_values_are_taken_off(tmp_path):
    text = 'user, item, rating, timestamp\nu1 , i1,5, 1700000000\n u2, "i1", 4 ,1700000001\n'
    assert read(tmp_path, text) == [
        ("u1", "i1", 5.0, 1_700_000_000_000),
        ("u2", "i1", 4.0, 1_700_000_001_000),
    ]


def test_wide_blanks_are_blanks_too(tmp_path):
    assert read(tmp_path, "user,item,rating\nu\xa01\xa0,\u3000i1,5\n") == [("u\xa01", "i1", 5.0, 0)]


def test_a_name_that_two_columns_have_is_named(tmp_path, caplog):
    assert read(tmp_path, "user,item,rating,note,rating\nu,i,1,x,5\n") == [("u", "i", 1.0, 0)]
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / 'r.csv'}: 2 columns are called 'rating', and the first of them is read"
    ]


@pytest.mark.parametrize(
    ("name", "value"), [("released", "2021-05-01"), ("released", "05/01/2021"), ("rated_on", "1700000000")]
)
def test_a_column_that_may_hold_times_and_is_not_used_is_named_once(tmp_path, caplog, name, value):
    assert read(tmp_path, f"user,item,rating,note,{name}\nu,i,1,5,{value}\n") == [("u", "i", 1.0, 0)]
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / 'r.csv'}: no times are read, though the column {name!r} may hold them; then give "
        f"--time-column {name} (in Python time_column={name!r})"
    ]
    caplog.clear()
    read(tmp_path, f"user,item,rating,{name}\nu,i,1,{value}\n", time_column="none")
    read(tmp_path, "user,item,rating,split\nu,i,1,0\n")
    assert not caplog.records
