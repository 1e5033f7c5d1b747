"""The protocol of the tables, as text and as one function, and the cases of the goals.

Both measure DCH models and baselines by the same tasks on the same split.
"""

from collections.abc import Callable, Collection, Mapping

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.data.splits import Holdout
from dch.evaluation.fit_and_serve import serve
from dch.evaluation.holdout import holdout_tasks, known_rows, measure_holdout, ratings_of_items
from dch.evaluation.ranked_lists import Lists, RankingTask, make_lists, make_task, measure_lists
from dch.evaluation.report import Measurement, MetricKey
from dch.experiments.baselines.rating_matrix import join
from dch.experiments.baselines.score_lists import can_rank, precedences, scorer_lists
from dch.experiments.baselines.scorers import BaselineScorer, FittedBaseline
from dch.experiments.plan import Split
from dch.models.model import Model

PROTOCOL = """\
The published protocol is not public. The tables follow our own, which is one function: `measure_tables` in
`dch/experiments/jobs/table_protocol.py`.

- **Split**, one for each seed: 10% of the users and 10% of the items that have ratings are held out
  completely; ratings of held-out items by held-out users are not used. Each of the other ratings goes to
  the test part with a probability of 20%. The test part of known users and known items is halved once more
  at random: one half is given after the fit as new ratings, the other is tested.
- **Fit**: on the training part only. The settings of the baselines are tuned on a fifth of the training
  part of the first seed, which is held out for the search. DCH uses the default settings of the program.
- **New ratings**: after the fit each method is given, at once, the half of the test part, 80% of the
  ratings of the new users, and 80% of the ratings of the new items. DCH-1 folds them in through frozen
  towers. DCH-2 first takes a few update steps with them. The baselines fold them in as their papers
  describe; if a paper has no fold-in, the baseline ignores them. The ceiling of DCH-2 is a fit from scratch
  on the training part and the new ratings together.
- **EUEI** (existing user, existing item): lists for users of the training part. Candidates: every item of the
  training part without a training or given rating by the user. Relevant: the tested half.
- **NUEI** (new user, existing item): lists for the held-out users. Candidates: every item of the training
  part without a given rating by the user. Relevant: the other 20% of their ratings.
- **EUNI** (existing user, new item): lists for users of the training part. Candidates: the held-out items
  without a given rating by the user. Relevant: the other 20% of the ratings of these items.
- **Relevant** ratings are test ratings of at least three quarters of the scale: 4 or more on a scale of
  1 to 5. All candidates are ranked, never a sample of them.
- **Lists** have 20 items. The number of positive ratings breaks ties, then a checksum of the id. A user
  without a code gets the popular list. The lists of DCH use plain Hamming distance; "reranked" reorders the
  nearest 200 codes by a finer score.
- **HIT@20** is 1 if the list has a relevant item. **NDCG@20** has binary gains, 1 / log2(rank + 1) for ranks
  from 1, divided by the gain of an ideal list of min(20, number of relevant items).
- **Averages** are over the users who have a relevant item in the case, then over seeds; ± is the standard
  deviation over seeds (n - 1). A dash: the method cannot rank such users or items, or was left out."""

GOAL_CASES = """\
The goals are measured on the same hold-out without the halving, as in `dch evaluate`: users are encoded from
their training ratings, new users from 80% of their ratings, and the whole test part is tested. EUNI-new ranks
the held-out items among themselves, EUNI-all among all items."""

SCORES = "scores"
"""The strategy of a baseline; a DCH model has the strategies codes, codes+rerank and popular."""

DEFAULT = "default"
"""The strategy of a model that is used where none is named."""

Answer = Callable[[RankingTask], dict[str, Lists]]
"""Returns lists by strategy; empty if the method cannot rank the candidates."""


def measure_tables(
    method: Model | FittedBaseline, split: Split, *, n_threads: int | None = None
) -> dict[MetricKey, Measurement]:
    """Measure EUEI, NUEI and EUNI as PROTOCOL describes.

    Args:
        method: fitted to ``split.holdout.train``; for DCH-2, then updated.
        split: the ratings to fit to, to give and to test on.
        n_threads: threads of the search; None for one per core.

    Returns:
        Each metric of each strategy and case, without the cases that the method cannot rank.
    """
    parts, given = split.holdout, new_ratings(split)
    if isinstance(method, Model):
        state = serve(method, join(parts.train, given))
        return _measured(table_questions(split), lambda task: make_lists(state, task, n_threads=n_threads))
    answer = _scored(method.fold_in(given), join(parts.train, given), parts.train)
    return _measured(table_questions(split), answer)


def goal_cases(
    method: Model | FittedBaseline,
    split: Holdout,
    *,
    n_threads: int | None = None,
    only: Collection[str] | None = None,
) -> dict[MetricKey, Measurement]:
    """Measure EUEI, NUEI, EUNI-new and EUNI-all as ``dch.evaluation.holdout`` does: see GOAL_CASES.

    Args:
        method: fitted to the training part.
        split: the hold-out.
        n_threads: threads of the search; None for one per core.
        only: cases of a baseline to measure; None for all.
    """
    least = relevant_from(split.train)
    if isinstance(method, Model):
        return measure_holdout(method, split, least, n_threads=n_threads)
    scorer = method.fold_in(join(split.user_given, split.item_given))
    counted = join(split.train, split.item_given)  # as the popularity of a state, which has folded these in
    tasks = {case: task for case, task in holdout_tasks(split, least).items() if only is None or case in only}
    return _measured(tasks, _scored(scorer, counted, split.train))


def new_ratings(split: Split) -> Ratings:
    """Return all ratings that are given after the fit."""
    parts = split.holdout
    return join(join(split.known_given, parts.user_given), parts.item_given)


def table_questions(split: Split) -> dict[str, RankingTask]:
    """Return the task of each case of the tables, the same for all methods."""
    parts, (users, items) = split.holdout, known_rows(split.holdout)
    least = relevant_from(parts.train)
    given, tested = [parts.train, split.known_given], ratings_of_items(split.known_test, items)
    by_new = ratings_of_items(parts.user_test, items)
    return {
        "EUEI": make_task(users, items, given=given, test=tested, relevant_from=least),
        "NUEI": make_task(parts.new_users, items, given=[parts.user_given], test=by_new, relevant_from=least),
        "EUNI": make_task(
            users, parts.new_items, given=[parts.item_given], test=parts.item_test, relevant_from=least
        ),
    }


def relevant_from(train: Ratings) -> float:
    """Return the lowest relevant rating: the lowest positive one for a model fitted to these ratings."""
    from dch.training.rating_weights import infer_scale  # importing this package takes seconds

    return infer_scale(train.values, DchConfig(), graded=False, users=train.users).positive_from


def by_case(measured: Mapping[MetricKey, Measurement]) -> dict[str, dict[str, dict[str, float]]]:
    """Return the means by case, strategy and metric."""
    cases: dict[str, dict[str, dict[str, float]]] = {}
    for key, found in measured.items():
        cases.setdefault(key.case, {}).setdefault(key.strategy, {})[key.metric] = found.mean
    return cases


def with_default(
    cases: Mapping[str, Mapping[str, dict[str, float]]], model: Model
) -> dict[str, dict[str, dict[str, float]]]:
    """Add the figures of the list that a model gives by default, under the strategy DEFAULT."""
    strategy = "codes+rerank" if model.neighbours.is_empty else "codes+rerank+neighbours"
    return {case: {**found, DEFAULT: found[strategy]} for case, found in cases.items() if strategy in found}


def _measured(tasks: Mapping[str, RankingTask], answer: Answer) -> dict[MetricKey, Measurement]:
    measured: dict[MetricKey, Measurement] = {}
    for case, task in tasks.items():
        measured |= measure_lists(answer(task), task, case)
    return measured


def _scored(scorer: BaselineScorer, counted: Ratings, train: Ratings) -> Answer:
    """Return a function that ranks by a baseline; the number of positive ratings breaks ties."""
    precedence = precedences(counted, relevant_from(train))

    def answer(task: RankingTask) -> dict[str, Lists]:
        if not can_rank(scorer, task):
            return {}
        return {SCORES: scorer_lists(scorer, task, precedence=precedence)}

    return answer
