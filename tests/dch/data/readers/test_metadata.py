"""Metadata files beside the ratings become feature records, for each source format."""

import pytest

from dch.data.features import availability
from dch.data.ratings import Ratings
from dch.errors import RatingsError


def write(folder, **files):
    """Write files; two underscores in a keyword stand for a dot in the file name."""
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_bytes(text.encode("latin-1"))


U_DATA = "1\t7\t4\t978300760\n"


def test_json_lines_become_feature_records_by_id(tmp_path):
    write(
        tmp_path,
        ratings__csv="user,item,rating\n1,7,4\n",
        items__jsonl='{"item": 7, "title": "Seven", "genres": ["Crime"]}\n'
        '{"item": "new", "title": "ColdItems"}\n',
        users__jsonl='{"user": 1, "age": 24}\n',
    )
    ratings = Ratings.read(tmp_path)
    assert ratings.item_features == {
        "7": {"title": "Seven", "genres": ["Crime"]},
        "new": {"title": "ColdItems"},
    }
    assert ratings.user_features == {"1": {"age": 24}}
    assert ratings.n_items == 2


def test_movielens_100k_metadata_is_read(tmp_path):
    flags = "|".join("1" if column in (5, 8) else "0" for column in range(19))
    write(
        tmp_path,
        u__data=U_DATA,
        u__item=f"7|Caf\xe9 (1995)|01-Jan-1995||http://x|{flags}\n8|No date||||{flags}\n",
        u__user="1|24|M|technician|85711\n",
    )
    ratings = Ratings.read(tmp_path)
    assert ratings.item_features["7"] == {
        "title": "Caf\xe9 (1995)",
        "year": "1995",
        "genres": ["Comedy", "Drama"],
    }
    assert ratings.item_features["8"] == {"title": "No date", "genres": ["Comedy", "Drama"]}
    assert ratings.user_features == {
        "1": {"age": "24", "gender": "M", "occupation": "technician", "zip": "85711"}
    }


def test_movielens_1m_metadata_is_read(tmp_path):
    write(
        tmp_path,
        ratings__dat="1::7::4::978300760\n",
        movies__dat="7::Caf\xe9 (1995)::Comedy|Drama\n",
        users__dat="1::F::25::10::48067\n",
    )
    ratings = Ratings.read(tmp_path)
    assert ratings.item_features == {"7": {"title": "Caf\xe9 (1995)", "genres": ["Comedy", "Drama"]}}
    assert ratings.user_features["1"]["age"] == "25"


def test_movielens_latest_metadata_is_read(tmp_path):
    write(
        tmp_path,
        ratings__csv="userId,movieId,rating,timestamp\n1,7,4,978300760\n",
        movies__csv='movieId,title,genres\n7,"Seven, or so (1995)",Crime|Thriller\n',
        tags__csv="userId,movieId,tag,timestamp\n",
    )
    ratings = Ratings.read(tmp_path)
    assert ratings.item_features == {"7": {"title": "Seven, or so (1995)", "genres": ["Crime", "Thriller"]}}


def test_recbole_metadata_is_read(tmp_path):
    write(
        tmp_path,
        ml__inter="user_id:token\titem_id:token\trating:float\n1\t7\t4\n",
        ml__item="item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\tprice:float\n"
        "7\tToy Story\t1995\tAnimation Comedy\t9.5\n8\tNo year\t\tDrama\t\n",
        ml__user="user_id:token\tage:token\tzip_code:token\n1\t24\t85711\n",
    )
    ratings = Ratings.read(tmp_path)
    assert ratings.item_features == {
        "7": {"title": "Toy Story", "year": "1995", "genres": ["Animation", "Comedy"], "price": 9.5},
        "8": {"title": "No year", "genres": ["Drama"]},
    }
    assert ratings.user_features == {"1": {"age": "24", "zip": "85711"}}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"items__jsonl": '{"title": "x"}\n'}, "items.jsonl:1: item: expected an id, but the key is missing"),
        ({"users__dat": "1::F\n"}, "users.dat:1: expected 5 columns, found 2"),
        ({"movies__csv": "movieId,title,genres\n1,x\n"}, "movies.csv:2: expected 3 columns, found 2"),
        (
            {"movies__csv": "movieId,title,genres\n1,x,y\n" + '"' + "2,x,y\n" * 40_000},
            "movies.csv:3: cannot be read as CSV: field larger than field limit",
        ),
        ({"items__jsonl": '{"item": ' + "[" * 100_000}, "items.jsonl:1: expected a JSON object, got"),
        ({"u__user": "\n1\tx\n"}, "u.user:2: expected 5 columns, found 1"),
    ],
)
def test_an_error_in_metadata_names_file_and_line(tmp_path, files, message):
    write(tmp_path, u__data=U_DATA, **files)
    with pytest.raises(RatingsError, match=message):
        Ratings.read(tmp_path)


def test_an_error_in_recbole_metadata_names_file_and_line(tmp_path):
    write(
        tmp_path,
        ml__inter="user_id:token\titem_id:token\trating:float\n1\t7\t4\n",
        ml__item="item_id:token\tprice:float\n7\t9.5\n8\tdear\n",
    )
    with pytest.raises(RatingsError, match=r"ml.item:3: price: expected a number, got 'dear'"):
        Ratings.read(tmp_path)


RATINGS = "user,item,rating\nu1,1,5\n"


@pytest.mark.parametrize("name", ["items.csv", "items.tsv", "movies.csv"])
def test_a_table_of_items_is_read_by_its_header(tmp_path, name):
    lines = ["Title|year|item_id|genres|price", '"One, two"|1999|1|War|', "|2000|2.0|Drama|3"]
    separator = "\t" if name.endswith("tsv") else ","
    text = "\n".join(lines).replace("|", separator) + f"\nThree{separator * 3}War|Drama{separator}4\n"
    (tmp_path / "ratings.csv").write_text(RATINGS)
    (tmp_path / name).write_text(text)
    assert Ratings.read(tmp_path / "ratings.csv").item_features == {
        "1": {"title": "One, two", "year": "1999", "genres": ["War"]},
        "2": {"year": "2000", "genres": ["Drama"], "price": "3"},
    }


def test_a_table_of_users_and_json_lines_under_usual_names_are_read(tmp_path):
    (tmp_path / "ratings.csv").write_text(RATINGS)
    (tmp_path / "users.csv").write_text("age;userId\n25;u1\n")
    (tmp_path / "items.jsonl").write_text('{"parent_asin": 1, "title": "One"}\n')
    ratings = Ratings.read(tmp_path)
    assert ratings.user_features == {"u1": {"age": "25"}}
    assert ratings.item_features == {"1": {"title": "One"}}


@pytest.mark.parametrize(
    "name", ["movies.parquet", "meta.jsonl", "books.csv", "products.xlsx", "item.csv.gz"]
)
def test_a_file_that_looks_like_metadata_and_is_not_used_is_named_once(tmp_path, caplog, name):
    (tmp_path / "ratings.csv").write_text(RATINGS)
    (tmp_path / name).write_text("id,title\n1,One\n")
    assert Ratings.read(tmp_path / "ratings.csv").item_features == {}
    assert [record.getMessage().partition(", because")[0] for record in caplog.records] == [
        f"{tmp_path / name}: looks like metadata of items and is not used"
    ]


def test_of_two_files_of_metadata_the_second_is_named(tmp_path, caplog):
    (tmp_path / "ratings.csv").write_text(RATINGS)
    (tmp_path / "items.jsonl").write_text('{"item": "1", "title": "One"}\n')
    (tmp_path / "items.csv").write_text("item,title\n1,Two\n")
    assert Ratings.read(tmp_path / "ratings.csv").item_features["1"] == {"title": "One"}
    assert "items.csv: looks like metadata of items and is not used, because items.jsonl is" in caplog.text


def test_a_table_without_a_column_of_ids_is_named_and_not_used(tmp_path, caplog):
    (tmp_path / "ratings.csv").write_text(RATINGS)
    (tmp_path / "items.csv").write_text("code,title\n1,One\n")
    assert Ratings.read(tmp_path / "ratings.csv").item_features == {}
    assert "items.csv:1: no column for the item, found 'code, title'; name it 'item'" in caplog.text


@pytest.mark.parametrize("text", ['{"1": {"title": "One"}}', '[{"code": 1, "title": "One"}]'])
def test_json_without_ids_is_named_and_not_used(tmp_path, caplog, text):
    (tmp_path / "ratings.csv").write_text(RATINGS)
    (tmp_path / "items.json").write_text(text)
    assert Ratings.read(tmp_path / "ratings.csv").item_features == {}
    assert "item: expected an id, but the key is missing; the file is not used" in caplog.text


def test_a_column_that_says_what_is_available_may_have_a_capital(tmp_path):
    (tmp_path / "ratings.csv").write_text(RATINGS)
    (tmp_path / "items.csv").write_text("item,title,Available\n1,One,False\n2,Two,1.0\n")
    features = Ratings.read(tmp_path / "ratings.csv").item_features
    assert {item: availability(record) for item, record in features.items()} == {"1": False, "2": True}


def test_other_ratings_and_known_files_beside_are_not_named(tmp_path, caplog):
    for name in ("ratings.csv", "books.csv"):
        (tmp_path / name).write_text("User-ID;ISBN;Book-Rating\n1;2;3\n")
    for name in ("tags.csv", "links.csv", "README.md"):
        (tmp_path / name).write_text("x\n")
    Ratings.read(tmp_path / "ratings.csv")
    assert not caplog.records
