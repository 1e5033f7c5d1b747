"""Feature codes against sums in Python, and the errors for what does not fit."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_models import random_feature_codes, random_model

from dch.errors import CodeShapeError
from dch.models.feature_codes import FeatureCodes

TOKENS = ["a=1", "a=2", "a=3", "a=4"]
CODES = random_feature_codes(len(TOKENS), 28)


def by_sums(codes, tokens):
    row_of_pair = {pair: len(TOKENS) + row for row, pair in enumerate(codes.pairs.tolist())}
    pairs = [(first << 32) | second for first, second in combinations(sorted(tokens), 2)]
    rows = [-1, *tokens, *(row_of_pair[pair] for pair in pairs if pair in row_of_pair)]
    return codes.table[rows].astype(float).sum(axis=0)


@given(st.lists(st.sets(st.integers(0, len(TOKENS) - 1)), max_size=5))
def test_outputs_are_the_sums_of_the_rows_of_tokens_and_pairs_and_of_the_last_row(of_items):
    starts = np.cumsum([0, *(len(tokens) for tokens in of_items)])
    found = CODES.outputs(
        starts, np.array([token for tokens in of_items for token in sorted(tokens)], np.int32)
    )
    wanted = np.array([by_sums(CODES, tokens) for tokens in of_items]).reshape(-1, 28)
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_tokens_that_are_in_no_pair_take_no_time_together():
    """All pairs of these would be 20,000 million look-ups: the test would take an hour."""
    n_tokens = 200_000
    table = np.ones((n_tokens + 2, 4), np.float32)
    table[n_tokens] = 7  # the part of the only pair
    pair = np.array([(3 << 32) | (n_tokens - 1)], np.int64)
    tokens = np.arange(n_tokens, dtype=np.int32)
    found = FeatureCodes(pair, table).outputs(np.array([0, n_tokens]), tokens)
    assert found.tolist() == [[1 + n_tokens + 7] * 4]


def test_a_table_of_another_shape_is_refused():
    with pytest.raises(
        CodeShapeError, match=r"shape \(7, 12\), but 4 item tokens, 3 pairs .* need \(8, 28\)"
    ):
        random_model(item_tokens=TOKENS, feature_codes=FeatureCodes(CODES.pairs, CODES.table[:-1, :12]))


@pytest.mark.parametrize("pairs", [[3, 2, 1], [1, 2, 4], [1, 2, 1 << 32], [-1, 1, 2]])
def test_pairs_that_are_not_ascending_pairs_of_tokens_are_refused(pairs):
    with pytest.raises(CodeShapeError, match="not ascending pairs of 4 item tokens"):
        random_model(item_tokens=TOKENS, feature_codes=FeatureCodes(np.array(pairs), CODES.table))
