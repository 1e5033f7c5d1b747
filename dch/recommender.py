"""The recommender: folds in rating events, recommends the nearest items, and swaps generations.

Offline evaluation and the worker use the same class. One thread writes (``fold_in``, ``swap`` and the methods
of ``state``); any number of threads may read at the same time (``recommend``, ``similar_items``).
"""

from collections.abc import Collection, Iterable, Sequence
from os import PathLike

import numpy as np

from dch.answers import Answer, Hit, answer_all
from dch.artifact import load_recommender, save_recommender
from dch.config import DchConfig
from dch.data.events import event_id, rating_number, time_after
from dch.data.ids import id_texts
from dch.data.ratings import Ratings
from dch.models.model import Model
from dch.queries import Query, query_history, query_item, query_user
from dch.questions import Question, Strategy, question
from dch.search.reserved_positions import require_share
from dch.state.restore import fold_in_ratings, restore
from dch.state.snapshot import Snapshot
from dch.state.state import State, known_rows


class Recommender:
    """Recommends items to users from a model and the ratings folded in so far."""

    def __init__(self, model: Model, *, new_item_share: float = 0.0) -> None:
        require_share(new_item_share)
        self.state = State(model)
        self.new_item_share = new_item_share
        """Minimum share of a list, 0 to 1, that goes to items which the fit never saw."""

    def __repr__(self) -> str:
        n_users, n_items = self.state.n_codes()
        codes = f"codes of {n_users:,} users and {n_items:,} items"
        return f"Recommender(generation {self.model.generation}, {codes})"

    @classmethod
    def fit(
        cls,
        ratings: Ratings,
        *,
        bits: int = 64,
        config: DchConfig | None = None,
        generation: int = 1,
        start: Model | None = None,
        progress: bool = False,
    ) -> "Recommender":
        """Fit a model to ratings and fold in the same ratings.

        Args:
            ratings: the training data, with the features of users and items.
            bits: length of a code; ignored if a config is given.
            config: all settings of the fit.
            generation: number of the new model.
            start: an earlier model, for a refit that starts from its weights.
            progress: show a progress bar with the loss and the time left.

        Raises:
            RatingsError: there is not enough to learn from.
            MissingExtraError: the fit needs a package that is not installed.
        """
        from dch.training import fit_model  # torch takes seconds to import, and serving never needs it

        settings = config or DchConfig(bits=bits)
        model = fit_model(ratings, settings, generation=generation, start=start, progress=progress)
        return cls.from_model(model, ratings)

    @classmethod
    def from_model(cls, model: Model, ratings: Ratings | None = None) -> "Recommender":
        """Build a recommender from a fitted model, and fold in these ratings."""
        recommender = cls(model)
        if ratings is not None:
            fold_in_ratings(recommender.state, ratings)
        return recommender

    @property
    def model(self) -> Model:
        """The model of the generation in service."""
        return self.state.model

    def fold_in(self, user: object, item: object, rating: float, timestamp_ms: object = None) -> None:
        """Fold in one rating event: extend the histories of user and item, and encode both again.

        NaN withdraws a rating. O(hidden), however long the histories are. Of several events for the same user
        and item the latest by (timestamp, order of calls) counts.

        Args:
            user: user id, new or known: text, or a number, which becomes text.
            item: item id, likewise.
            rating: on the scale of the training data.
            timestamp_ms: milliseconds since 1970, or another time of ``dch.data.times``; None or 0 means the
                time of the latest event so far. While no event has a time since 1990, small numbers are
                taken as an order.

        Raises:
            RatingsError: a value is no id, no finite rating or no time; nothing was changed.
        """
        ids = event_id(user, "user"), event_id(item, "item")
        value, stamp = rating_number(rating), time_after(timestamp_ms, self.state.newest_ms)
        events = self.state.events([ids[0]], [ids[1]], [value], [stamp])
        self.state.fold_in_users(events)
        self.state.fold_in_items(events)
        self.state.refresh_items()

    def swap(self, snapshot: Snapshot) -> None:
        """Serve a new snapshot, made by ``state.prepare``, from the next request on."""
        self.state.swap(snapshot)

    def recommend(
        self,
        user: object,
        k: int = 20,
        *,
        strategy: Strategy | None = None,
        exclude: Collection[object] = (),
        only: Collection[object] | None = None,
        include_rated: bool = False,
        new_item_share: float | None = None,
        explain: bool = False,
    ) -> list[Hit]:
        """Return the k best items that the user has not rated, best first.

        A user without ratings gets popular items, in an order that features determine if some are known.

        Args:
            user: user id, known or not: text, or a number, which becomes text, as all ids here.
            k: list length.
            strategy: ``codes+rerank+neighbours``, ``codes+rerank``, ``codes-weighted``, ``codes`` (plain
                Hamming distance), ``features`` or ``popular``. None takes the first one, or the second if the
                model has no neighbours.
            exclude: item ids never to return.
            only: item ids to choose from; None means all.
            include_rated: also return items that the user has rated.
            new_item_share: minimum share of new items; None takes that of the recommender.
            explain: give each hit the rated items that speak for it, in ``Hit.because``. Where neighbours do
                not speak, this takes one pass of the user tower for each of the latest 50 ratings.

        Raises:
            ConfigError: k, the strategy or the share is out of range.
            RatingsError: an id is neither text nor a number.
        """
        return self.answer(
            query_user(self.state, event_id(user, "user"), explain=explain),
            k,
            strategy=strategy,
            exclude=exclude,
            only=only,
            include_rated=include_rated,
            new_item_share=new_item_share,
        ).hits

    def recommend_history(
        self,
        history: Iterable[tuple[object, float]],
        k: int = 20,
        *,
        strategy: Strategy | None = None,
        explain: bool = False,
    ) -> list[Hit]:
        """Return the k best items for an inline history of (item, rating), best first; store nothing.

        The history is oldest first: of several ratings of an item the last one counts, neighbours count the
        last 500 ratings, and reasons come from the last ones. See ``recommend`` for ``explain``.

        Raises:
            RatingsError: a value is no id or no finite rating.
        """
        events = [(event_id(item, "item"), rating_number(rating)) for item, rating in history]
        rated = [(item, rating) for item, rating in events if rating == rating]  # NaN withdraws
        return self.answer(query_history(self.state, rated, explain=explain), k, strategy=strategy).hits

    def similar_items(self, item: object, k: int = 20) -> list[Hit]:
        """Return the k items that are most similar to an item, best first.

        With neighbours these are first the items for which a rating of this one speaks, strongest first, and
        then those with the nearest codes; items newer than the fit are where the codes have them. Without,
        and for an item that the fit never saw, only the nearest codes.

        Raises:
            UnknownIdError: the item has no code.
        """
        query = query_item(self.state, event_id(item, "item"))
        strategy: Strategy | None = "codes" if query.snapshot.model.neighbours.is_empty else None
        return self.answer(query, k, strategy=strategy, new_item_share=0.0).hits

    def user_code(self, user: object) -> bytes | None:
        """Return the packed code of a user; None if nothing is known of the user."""
        return query_user(self.state, event_id(user, "user")).code

    def answer(
        self,
        query: Query,
        k: int,
        *,
        strategy: Strategy | None = None,
        exclude: Collection[object] = (),
        only: Collection[object] | None = None,
        include_rated: bool = False,
        new_item_share: float | None = None,
    ) -> Answer:
        """Search for a query; see ``recommend`` for the arguments. Needs no lock."""
        asked = self.question(
            query,
            k,
            strategy=strategy,
            exclude=exclude,
            only=only,
            include_rated=include_rated,
            new_item_share=new_item_share,
        )
        return self.answer_all([asked])[0]

    def question(
        self,
        query: Query,
        k: int,
        *,
        strategy: Strategy | None = None,
        exclude: Collection[object] = (),
        only: Collection[object] | None = None,
        include_rated: bool = False,
        new_item_share: float | None = None,
    ) -> Question:
        """Return a question for ``answer_all``; see ``recommend`` for the arguments."""
        ids = self.state.history.item_ids
        excluded = known_rows(ids.rows(id_texts(exclude, "exclude")))
        return question(
            query,
            k,
            strategy=strategy,
            skip=excluded if include_rated else np.concatenate([query.seen, excluded]),
            only=None if only is None else known_rows(ids.rows(id_texts(only, "only"))),
            new_item_share=self.new_item_share if new_item_share is None else new_item_share,
        )

    def answer_all(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer several questions, whose searches share one pass over the item codes. Needs no lock."""
        return answer_all(questions, self.state.history.item_ids)

    def save(self, folder: str | PathLike[str]) -> None:
        """Write the model, the histories and the features to a folder that ``load`` reads.

        A recommender that was saved there before is replaced at the end, in one step where the system can.

        Raises:
            ArtifactError: the folder holds other files, or cannot be written; then it stays as it was.
        """
        save_recommender(folder, self.model, self.state.history)

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> "Recommender":
        """Read a recommender that ``save`` wrote, or a model alone.

        Raises:
            ArtifactError: the folder is missing, corrupt, truncated, not an artifact, or in a newer format.
        """
        model, saved = load_recommender(folder)
        recommender = cls(model)
        if saved is not None:
            restore(recommender.state, saved)
        return recommender
