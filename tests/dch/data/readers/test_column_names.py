"""Which column of a file is which."""

import pytest

from dch.data.readers.column_names import find_columns


@pytest.mark.parametrize(
    "names", ["user,item,rating", "userId,movieId,rating", "user_id,ITEM_ID,Stars", "uid,asin,overall"]
)
def test_common_column_names_are_recognised(names):
    assert find_columns(names.split(","), "x") == {"user": 0, "item": 1, "rating": 2}
