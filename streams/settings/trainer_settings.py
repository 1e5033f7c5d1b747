"""Settings of ``dch trainer``: name, meaning, unit, default and range, each declared once."""

from typing import Literal

from pydantic import Field

from streams.settings.kafka_settings import RoleSettings


class TrainerSettings(RoleSettings):
    """Settings of ``dch trainer``."""

    role = "trainer"

    refit_ratings: int = Field(
        default=50_000,
        ge=0,
        le=10**12,
        description="New ratings after which a refit is due; 0 turns this off",
    )
    refit_interval_s: float = Field(
        default=0.0, ge=0, le=10**9, description="Seconds after which a refit is due; 0 turns this off"
    )
    refit_margin: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="A refit is published unless its NDCG@20 is lower than that in service by more than this",
    )
    keep_generations: int = Field(
        default=3,
        ge=1,
        le=1_000_000,
        description="Newest generations to keep in the store; older ones are removed after a publication",
    )
    bits: int = Field(
        default=64, ge=8, le=256, multiple_of=8, description="Code length in bits; a multiple of 8"
    )
    objective: Literal["ranking", "rating"] = Field(
        default="ranking", description="Objective of a fit: ranking or rating"
    )
    neighbours: str = Field(
        default="auto",
        pattern=r"^(auto|[0-9]{1,3}|1000)$",
        examples=["auto or 0 to 1000"],
        description="Items whose ratings speak for an item, beside its code; 0: none; auto: 32 if they help",
    )
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="Random seed of a fit")
    threads: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="Threads of a fit; more are slower on a machine that does other work, unless the "
        "variable OMP_WAIT_POLICY is PASSIVE",
    )
    device: str = Field(default="cpu", description="Device that a fit runs on: cpu, cuda or cuda:<n>")
