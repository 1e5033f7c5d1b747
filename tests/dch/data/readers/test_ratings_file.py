"""Which file of a folder holds the ratings."""

import pytest

from dch.data.readers.ratings_file import find_ratings_file
from dch.errors import RatingsError


def test_a_folder_with_one_file_of_ratings_stands_for_that_file(tmp_path):
    for name in ("ratings.csv.gz", "items.jsonl", "users.jsonl", "README.md"):
        (tmp_path / name).touch()
    assert find_ratings_file(tmp_path) == tmp_path / "ratings.csv.gz"


def test_of_several_files_the_one_called_ratings_is_taken(tmp_path):
    for name in ("ratings.csv", "other.csv"):
        (tmp_path / name).touch()
    assert find_ratings_file(tmp_path).name == "ratings.csv"


def test_a_folder_with_several_files_of_ratings_is_refused(tmp_path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).touch()
    with pytest.raises(
        RatingsError, match=r"expected one file of ratings, found a.csv, b.csv; give the path of a file"
    ):
        find_ratings_file(tmp_path)


def test_a_folder_without_ratings_is_refused(tmp_path):
    with pytest.raises(RatingsError, match="expected one file of ratings, found none"):
        find_ratings_file(tmp_path)


@pytest.mark.parametrize("name", ["ratings.xlsx", "ratings", "ratings.parquet.gz"])
def test_the_error_for_an_unknown_format_names_the_known_ones(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(RatingsError, match=r"unknown file format; known are \*.csv, \*.tsv, \*.parquet"):
        find_ratings_file(tmp_path / name)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(RatingsError, match=r"nothing.csv: no such file or folder"):
        find_ratings_file(tmp_path / "nothing.csv")
