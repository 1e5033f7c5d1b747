"""Settings of ``dch worker``: name, meaning, unit, default and range, each declared once."""

from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from streams.settings.kafka_settings import RoleSettings


class WorkerSettings(RoleSettings):
    """Settings of ``dch worker``."""

    role = "worker"

    reply_prefixes: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("recommendations", "replies"),
        description="Allowed beginnings of the name of a reply topic, after --prefix; comma-separated",
    )
    max_request_bytes: int = Field(
        default=256 << 10,
        ge=1024,
        le=10**9,
        description="Largest request in bytes, with key and headers; a larger one gets an error reply",
    )
    max_request_ids: int = Field(
        default=2500,
        ge=1,
        le=30_000,
        description="Most ids in history, exclude and only of a request together; more get an error reply",
    )
    max_k: int = Field(
        default=1000, ge=1, le=1000, description="Longest list that a request may ask for; more is an error"
    )
    delivery_timeout_s: float = Field(
        default=60.0, ge=1, le=3600, description="Seconds that a reply may wait for its acknowledgement"
    )
    prequential_k: int = Field(
        default=20,
        ge=1,
        le=200,
        description="A new rating is a hit if its item is among the first k of the user's list",
    )
    prequential_share: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Largest share of new positive ratings that are ranked before they are applied; a worker "
        "halves it while this takes over a twentieth of a core",
    )
    served_share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Share of the users whose lists and ratings are written to the topic served",
    )
    new_item_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Minimum share of each list, rounded to positions, for items that the model in service "
        "was not fitted on; with 0.05, one position of 10 to 29",
    )
    model_load_timeout_s: float = Field(
        default=60.0,
        ge=0.1,
        le=10**6,
        description="Seconds without the announced model until requests get an error and /readyz fails",
    )
    encode_interval_s: float = Field(
        default=1.0, ge=0.01, le=3600, description="Seconds between two publications of item codes"
    )

    @field_validator("reply_prefixes", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """Split the value of a flag or variable at its commas. An empty prefix would allow every topic."""
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
            return value
        return [part.strip() for part in parts if part.strip()]

    def may_reply_to(self, topic: str) -> bool:
        """Return whether replies may go to this topic. Unchecked, a client could write to any topic."""
        return topic.startswith(tuple(self.prefix + name for name in self.reply_prefixes))
