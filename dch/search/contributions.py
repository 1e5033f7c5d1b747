"""What each rated item adds to the scores of listed items: the numbers behind "because you rated X"."""

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.codes import Vectors, Words
from dch.models.neighbours import Neighbours, Rated
from dch.models.running_sums import RunningSums, add_rating, interpolate
from dch.models.towers import Floats, Head, Ints, encode_row
from dch.search.scores import make_scorer, score_rows


@kernel
def neighbour_parts(neighbours: Neighbours, rated: Rated, fitted: Ints) -> NDArray[np.int64]:
    """Return what each rating adds to the sum over neighbours of each listed item, (m, n).

    Args:
        neighbours: the weights.
        rated: n ratings.
        fitted: (m,) distinct rows of the listed items in the fit; negative where the fit never saw the item.
    """
    parts = np.zeros((len(fitted), len(rated.items)), np.int64)
    listed = np.full(len(neighbours.scales), -1, np.int32)  # position among the listed items
    for position in range(len(fitted)):
        if 0 <= fitted[position] < len(listed):
            listed[fitted[position]] = position
    for i in range(len(rated.items)):
        item, weight = rated.items[i], rated.weights[i]
        if item >= len(neighbours.scales):
            continue
        for at in range(neighbours.starts[item], neighbours.starts[item + 1]):
            other = neighbours.items[at]
            if listed[other] >= 0:
                strength = np.int64(neighbours.weights[at]) * np.int64(neighbours.scales[other])
                parts[listed[other], i] += weight * strength
    return parts


@kernel
def scores_without(
    bag: RunningSums,
    embeddings: Floats,
    knots: Floats,
    fitted: Ints,
    ratings: Floats,
    head: Head,
    words: Words,
    vectors: Vectors,
    rows: Ints,
) -> Floats:
    """Return the scores of listed items for a bag, and for the bag without each of n ratings, (1 + n, m).

    A rating is subtracted from the bag exactly, and the rest is encoded: O(hidden * (bits + vector_size)) for
    each rating, and O(vector_size) for each listed item.

    Args:
        bag: one bag, which holds the ratings.
        embeddings: (n_tokens, hidden).
        knots: (k, 2) [rating, weight].
        fitted: (n,) rows of the embeddings of the rated items.
        ratings: (n,).
        head: the weights after the bag; without ranking vectors the score is that of the relaxed code.
        words: (n_items, n_words) codes.
        vectors: (n_items, vector_size) ranking vectors.
        rows: (m,) rows of the listed items.
    """
    hidden, bits = head[4].shape
    scratch, output = np.empty(hidden, np.float32), np.empty(bits + len(head[7]), np.float32)
    scores = np.empty((1 + len(fitted), len(rows)), np.float32)
    rest = RunningSums(bag.sums.copy(), bag.squares.copy(), bag.n_ratings.copy(), bag.n_positive)
    for i in range(1 + len(fitted)):
        if i > 0:
            embedding, weight = embeddings[fitted[i - 1]], interpolate(knots, ratings[i - 1])
            add_rating(rest, 0, embedding, weight, -1)
        encode_row(rest.sums[0], rest.squares[0], rest.n_ratings[0], head, scratch, output)
        score_rows(rows, make_scorer(words, vectors, output[:bits], output[bits:]), scores[i])
        if i > 0:
            add_rating(rest, 0, embedding, weight, 1)
    return scores
