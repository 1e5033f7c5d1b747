"""The published figures as printed: in percent, for 64 bits and lists of 20 items.

Source:
    The poster "Deep Collaborative Hashing" and the article it rests on: Li, Wang, Pan, Peng, Yang, Cambria,
    "Learning binary codes with neural collaborative filtering for efficient recommendation systems",
    Knowledge-Based Systems 172 (2019) 64-75. Its splits, candidates and definition of relevance are not
    public, so only the order of the methods is comparable.
"""

DATA = ("ml-1m", "amazon-books", "yelp")
"""The columns: MovieLens, Amazon and Yelp; the source does not say which releases it used."""

METHODS = ("DCF", "CH", "DCH-1", "DCH-2")

PERCENT: dict[tuple[str, str], tuple[tuple[float | None, ...], ...]] = {
    ("hit@20", "EUEI"): (
        (37.74, 19.29, 30.26),
        (20.87, 23.43, 39.14),
        (37.94, 49.05, 51.98),
        (44.54, 49.19, 59.49),
    ),
    ("hit@20", "EUNI"): (
        (30.00, 2.17, 10.71),
        (50.00, None, None),
        (50.00, 63.24, 47.40),
        (60.00, 64.61, 52.67),
    ),
    ("hit@20", "NUEI"): (
        (14.91, 15.31, 15.38),
        (19.77, None, None),
        (40.44, 21.63, 34.91),
        (42.66, 29.63, 35.50),
    ),
    ("ndcg@20", "EUEI"): (
        (10.08, 4.68, 2.83),
        (5.43, 5.95, 10.0),
        (14.59, 22.01, 23.35),
        (18.87, 19.54, 28.98),
    ),
    ("ndcg@20", "EUNI"): (
        (5.94, 0.5, 2.45),
        (11.47, None, None),
        (12.02, 28.84, 22.64),
        (20.47, 29.93, 20.40),
    ),
    ("ndcg@20", "NUEI"): (
        (3.60, 3.80, 3.82),
        (4.98, None, None),
        (14.84, 7.63, 13.10),
        (14.78, 10.48, 14.02),
    ),
}
"""By metric and case: a row for each of METHODS, a column for each of DATA; None if not published."""


def published(metric: str, case: str, method: str, data: str) -> float | None:
    """Return a published figure as a share, or None if it was not published.

    Args:
        metric: ``hit@20`` or ``ndcg@20``.
        case: ``EUEI``, ``EUNI`` or ``NUEI``.
        method: one of METHODS; nothing was published for others.
        data: one of DATA; nothing was published for others.
    """
    if method not in METHODS or data not in DATA:
        return None
    percent = PERCENT[metric, case][METHODS.index(method)][DATA.index(data)]
    return None if percent is None else percent / 100
