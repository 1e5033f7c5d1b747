"""The protocol of the experiments' tables, in words and as one function; and the cases of the goals.

Both ask a DCH model and a compared method the same questions on the same split.
"""

from collections.abc import Callable, Mapping

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.data.splits import Holdout
from dch.evaluation.fit_and_serve import serve
from dch.evaluation.holdout import holdout_tasks, known_rows, measure_holdout, ratings_of_items
from dch.evaluation.ranked_lists import Lists, RankingTask, make_lists, make_task, measure_lists
from dch.evaluation.report import Measurement, MetricKey
from dch.experiments.baselines.rating_matrix import join
from dch.experiments.baselines.score_lists import can_rank, precedences, scorer_lists
from dch.experiments.baselines.scorer import Fitted, Scorer
from dch.experiments.plan import Split
from dch.models.model import Model

PROTOCOL = """\
The published protocol is not public; this is ours, of the published tables, one function:
`dch/experiment/protocol.py: measure_tables`.

- **Split**, drawn anew for each seed: 10% of the users and 10% of the items that have ratings are held out
  whole; ratings of held-out items by held-out users are not used. Of the other ratings each goes to the test
  part with a chance of 20%. Those of the test part of known users and known items are halved once more, by
  chance: one half is new ratings that are given after the fit, the other is tested.
- **Fit**: on the training part alone. Settings of the compared methods were chosen on a fifth of the training
  part of the first seed, held out of it for that; those of DCH are the defaults of the program.
- **New ratings**: after the fit each method is given, at once, the half of the test part, 80% of the ratings
  of the new users, and 80% of the ratings of the new items. DCH-1 folds them in through frozen towers. DCH-2
  does the same after a few update steps on these ratings only. The others fold them in as their papers say,
  or, where those say nothing, stay as they are.
- **EUEI** (existing user, existing item): users of the training part; ranked: every item of the training
  part that the user has neither rated in training nor given since; relevant: the tested half.
- **NUEI** (new user, existing item): the held-out users; ranked: every item of the training part that the
  user has not given; relevant: the other 20% of their ratings.
- **EUNI** (existing user, new item): users of the training part; ranked: the held-out items among
  themselves, without those that the user has given; relevant: the other 20% of their ratings.
- **Relevant** are tested ratings from three quarters up the scale: 4 or more on 1 to 5. All items named are
  ranked, never a sample of them.
- **Lists** have 20 items. Items of equal score go by the number of positive ratings, then by a checksum of
  the id. A user without a code gets the popular list. DCH's lists are by plain Hamming distance; "reranked"
  orders the nearest 200 codes by a finer score.
- **HIT@20** is 1 when anything relevant is listed. **NDCG@20** has binary gains, 1 / log2(place + 1), over
  an ideal list of min(20, number of relevant items).
- **Averages** are over the users with something relevant in the case, then over seeds; ± is the standard
  deviation over seeds (n - 1). A dash: the method cannot place such users or items, or was left out."""

GOAL_CASES = """\
The goals are measured on the same hold-out without the halving: users are encoded from their training
ratings (new users: from 80% of their ratings) and asked for the whole test part, as `dch evaluate` does.
EUNI-new ranks the held-out items among themselves, EUNI-all among all items."""

SCORES = "scores"
"""The strategy of a compared method, where a DCH model has codes, codes+rerank and popular."""

Answer = Callable[[RankingTask], dict[str, Lists]]
"""Returns lists by strategy, none where the question cannot be answered."""


def measure_tables(
    method: Model | Fitted, split: Split, *, n_threads: int | None = None
) -> dict[MetricKey, Measurement]:
    """Measure EUEI, NUEI and EUNI as PROTOCOL says.

    Args:
        method: fitted to ``split.holdout.train``; for DCH-2, updated since.
        split: what was fitted, given and tested.
        n_threads: of the search; None for the cores there are.

    Returns:
        Each metric of each strategy and case; a case that the method cannot answer is missing.
    """
    parts, given = split.holdout, new_ratings(split)
    if isinstance(method, Model):
        state = serve(method, join(parts.train, given))
        return _measured(
            table_questions(split), lambda question: make_lists(state, question, n_threads=n_threads)
        )
    answer = _scored(method.fold_in(given), join(parts.train, given), parts.train)
    return _measured(table_questions(split), answer)


def goal_cases(
    method: Model | Fitted, split: Holdout, *, n_threads: int | None = None
) -> dict[MetricKey, Measurement]:
    """Measure EUEI, NUEI, EUNI-new and EUNI-all as ``dch.evaluation.holdout`` does: see GOAL_CASES.

    Args:
        method: fitted to the training part.
        split: the hold-out.
        n_threads: of the search; None for the cores there are.
    """
    least = relevant_from(split.train)
    if isinstance(method, Model):
        return measure_holdout(method, split, least, n_threads=n_threads)
    scorer = method.fold_in(join(split.user_given, split.item_given))
    counted = join(split.train, split.item_given)  # what a state counts there: items have read these
    return _measured(holdout_tasks(split, least), _scored(scorer, counted, split.train))


def new_ratings(split: Split) -> Ratings:
    """Return all that is given after the fit."""
    parts = split.holdout
    return join(join(split.known_given, parts.user_given), parts.item_given)


def table_questions(split: Split) -> dict[str, RankingTask]:
    """Return what is asked in each case of the tables, whoever answers."""
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
    """Return the least rating that counts as relevant: where a model fitted to these finds positive ones."""
    from dch.training.rating_scale import infer_scale  # its package takes seconds to import

    return infer_scale(train.values, DchConfig(), graded=False).positive_from


def by_case(measured: Mapping[MetricKey, Measurement]) -> dict[str, dict[str, dict[str, float]]]:
    """Return the means as JSON keeps them: case, strategy, metric."""
    cases: dict[str, dict[str, dict[str, float]]] = {}
    for key, found in measured.items():
        cases.setdefault(key.case, {}).setdefault(key.strategy, {})[key.metric] = found.mean
    return cases


def _measured(questions: Mapping[str, RankingTask], answer: Answer) -> dict[MetricKey, Measurement]:
    measured: dict[MetricKey, Measurement] = {}
    for case, question in questions.items():
        measured |= measure_lists(answer(question), question, case)
    return measured


def _scored(scorer: Scorer, counted: Ratings, train: Ratings) -> Answer:
    """Answer by a compared method; ties go by the positive ratings counted so far."""
    precedence = precedences(counted, relevant_from(train))

    def answer(question: RankingTask) -> dict[str, Lists]:
        if not can_rank(scorer, question):
            return {}
        return {SCORES: scorer_lists(scorer, question, precedence=precedence)}

    return answer
