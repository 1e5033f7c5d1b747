"""Every setting of every role: meaning, unit, default and check, declared once.

A setting is given by a flag (``--request-timeout-s``) or by a variable (``DCH_REQUEST_TIMEOUT_S``);
the flag wins. Settings of librdkafka (SASL, TLS ...) pass through: ``--kafka security.protocol=SSL`` or
``DCH_KAFKA_SECURITY_PROTOCOL=SSL``. No other file reads the environment.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, fields

from streams.errors import SettingsError
from streams.setting import check, env_name, flag_name, parse, setting

KAFKA_ENV = "DCH_KAFKA_"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of one process. Frozen, and checked at birth.

    Raises:
        SettingsError: naming the setting, what was found, and the flag and variable that set it.
    """

    bootstrap_servers: str = setting("localhost:9092", "host:port of one or more brokers, comma-separated")
    prefix: str = setting("", "put before every topic and group name, for tests and tenants")
    partitions: int = setting(
        4, "partitions of every topic that is sharded by user or item", low=1, high=10_000
    )
    replication_factor: int = setting(
        -1, "copies of each partition; -1 leaves it to the broker", low=-1, high=100
    )
    group: str = setting("", "consumer group; empty means the name of the role")
    artifacts: str = setting("artifacts", "folder or object-store URL where models are kept")
    metrics_host: str = setting("127.0.0.1", "address that serves /metrics, /livez and /readyz")
    metrics_port: int = setting(0, "port of the same; 0 takes any free one and logs it", low=0, high=65_535)
    reply_prefixes: tuple[str, ...] = setting(
        ("recommendations", "replies"),
        "what the name of a reply topic may begin with (after the prefix), comma-separated",
    )
    request_timeout_s: float = setting(10.0, "seconds an asker waits for a reply", low=0.01, high=3600)
    broker_timeout_s: float = setting(10.0, "seconds to wait for a broker at the start", low=0.1, high=3600)
    delivery_timeout_s: float = setting(
        60.0, "seconds a record may wait for its acknowledgement", low=1, high=3600
    )
    batch_records: int = setting(4000, "most records handled between two commits", low=1, high=1_000_000)
    batch_wait_s: float = setting(0.02, "seconds to wait for a batch to fill", low=0.001, high=10)
    linger_ms: float = setting(5.0, "milliseconds a producer waits for more to send", low=0, high=10_000)
    prequential_k: int = setting(
        20, "length of the list a new rating must be in to be a hit", low=1, high=1000
    )
    prequential_share: float = setting(
        1.0, "share of new positive ratings looked up in lists before being learned", low=0, high=1
    )
    new_item_share: float = setting(
        0.0, "share of a list's places kept for items that no fit has seen yet", low=0, high=1
    )
    encode_interval_s: float = setting(
        1.0, "seconds between two publications of item codes", low=0.01, high=3600
    )
    refit_ratings: int = setting(
        50_000, "new ratings after which a refit is due; 0 is never", low=0, high=10**12
    )
    refit_interval_s: float = setting(
        0.0, "seconds after which a refit is due; 0 is never", low=0, high=10**9
    )
    refit_margin: float = setting(
        0.02, "NDCG@20 a refit may lose against the model in service and still ship", low=0, high=1
    )
    bits: int = setting(64, "length of a code, in bits; a multiple of 8", low=8, high=256)
    objective: str = setting("ranking", "what a fit optimises", choices=("ranking", "rating"))
    seed: int = setting(0, "seed of a fit", low=0, high=2**31 - 1)
    device: str = setting("cpu", "where a fit computes: cpu, cuda or cuda:<n>")
    kafka: Mapping[str, str] = setting({}, "any librdkafka setting, key=value", repr=False)

    def __post_init__(self) -> None:
        for field in fields(self):
            check(field, getattr(self, field.name))

    @classmethod
    def from_env(
        cls, flags: Mapping[str, object] | None = None, *, environ: Mapping[str, str] | None = None
    ) -> "Settings":
        """Fill from flags, then from the environment, then from the defaults.

        Args:
            flags: by field name; a None is a flag that was not given. Texts are parsed as in the environment;
                ``kafka`` is a sequence of ``key=value``.
            environ: the environment; None is that of the process.

        Raises:
            SettingsError: a value has the wrong form, is out of range, or a flag is unknown.
        """
        environ = os.environ if environ is None else environ
        flags = {name: value for name, value in (flags or {}).items() if value is not None}
        known = {field.name: field for field in fields(cls)}
        if unknown := sorted(flags.keys() - known.keys()):
            raise SettingsError(f"there is no setting {flag_name(unknown[0])}; see --help")
        given = {name: _given(field, flags, environ) for name, field in known.items() if name != "kafka"}
        kafka = _kafka_from_env(environ) | _kafka_from_flags(flags.get("kafka", ()))
        return cls(**{name: value for name, value in given.items() if value is not None}, kafka=kafka)  # type: ignore[arg-type]

    def topic(self, name: str) -> str:
        """Return the full name of a topic."""
        return self.prefix + name

    def group_of(self, role: str) -> str:
        """Return the consumer group of a role."""
        return self.prefix + (self.group or role)

    def may_reply_to(self, topic: str) -> bool:
        """Say whether replies may go to this topic: an open choice would let any asker write anywhere."""
        return topic.startswith(tuple(self.prefix + name for name in self.reply_prefixes))


def _given(field: Field[object], flags: Mapping[str, object], environ: Mapping[str, str]) -> object:
    value = flags.get(field.name, environ.get(env_name(field.name)))
    return parse(field, value) if isinstance(value, str) else value


def _kafka_from_env(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(KAFKA_ENV).lower().replace("_", "."): value
        for name, value in environ.items()
        if name.startswith(KAFKA_ENV)
    }


def _kafka_from_flags(pairs: object) -> dict[str, str]:
    found: dict[str, str] = {}
    if isinstance(pairs, Mapping):
        return {str(key): str(value) for key, value in pairs.items()}
    for pair in pairs if isinstance(pairs, Iterable) and not isinstance(pairs, str) else [pairs]:
        key, separator, value = str(pair).partition("=")
        if not separator or not key.strip():
            raise SettingsError(f"kafka must be key=value, got {pair!r}; write --kafka security.protocol=SSL")
        found[key.strip()] = value.strip()
    return found
