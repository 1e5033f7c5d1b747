"""Settings that several commands share, and how a setting is named, checked and shown.

An object takes the values that the code gives and defaults for the rest. Flags, environment variables and the
configuration file are read in ``sources``.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal, Self, TypeVar, get_args

from pydantic import Field, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from streams.errors import SettingsError
from streams.settings.fixed_values import fault_of

PREFIX = "DCH_"
KAFKA_PREFIX = "DCH_KAFKA_"

KeyForm = Literal["auto", "text", "int32", "int64"]


class KafkaSettings(BaseSettings):
    """Settings that every Kafka client needs. Frozen, and checked at construction.

    Raises:
        SettingsError: naming the setting, what was found, and the flag and variable that set it.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", allow_inf_nan=False)
    role: ClassVar[str] = ""
    """Name of the command and of the table in a configuration file; empty for settings that no role owns."""

    bootstrap_servers: str = Field(
        default="localhost:9092",
        pattern=r"\S",
        description="Kafka bootstrap servers: host:port, comma-separated",
    )
    prefix: str = Field(
        default="", description="Prefix of all topic and group names; separates services on one cluster"
    )
    partitions: int = Field(
        default=4,
        ge=1,
        le=10_000,
        description="Partitions of each topic that is keyed by user or item; existing ones must have as many",
    )
    replication_factor: int = Field(
        default=-1, ge=-1, le=100, description="Replicas of each partition; -1 uses the broker's default"
    )
    broker_timeout_s: float = Field(
        default=10.0, ge=0.1, le=3600, description="Seconds that a command waits for a broker to answer"
    )
    broker_patience_s: float = Field(
        default=300.0,
        ge=1,
        le=86_400,
        description="Seconds for which a role retries while a broker is away, and a record its delivery",
    )
    batch_records: int = Field(
        default=4000, ge=1, le=1_000_000, description="Maximum number of records between two commits"
    )
    batch_wait_s: float = Field(
        default=0.02, ge=0.001, le=10, description="Seconds to wait for a batch to fill"
    )
    key_form: KeyForm = Field(
        default="auto",
        description="Keys of users and items with four (int32) or eight (int64) bytes are integers, by auto "
        "only if they are not printable, by text never; the same for all commands",
    )
    linger_ms: float = Field(
        default=5.0,
        ge=0,
        le=10_000,
        description="Milliseconds that a producer waits for more records before it sends",
    )
    kafka: dict[str, str] = Field(
        default={}, description="Any librdkafka setting as key=value; may be repeated"
    )

    def __init__(self, **values: Any) -> None:  # noqa: ANN401 - each is checked against its field
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SettingsError(_sentence(type(self), error)) from None
        for name, value in self.kafka.items():
            if fault := fault_of(name, value):
                raise SettingsError(fault)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read no environment variables and no files: only the arguments of the constructor count."""
        return (init_settings,)

    def replace(self, **changes: object) -> Self:
        """Return settings with some values changed, checked again."""
        return type(self)(**dict(self) | changes)

    def as_role(self, role: "type[Role]", **changes: object) -> "Role":
        """Return settings of another role with the values that both roles have, and with changes."""
        shared: dict[str, object] = {name: value for name, value in self if name in role.model_fields}
        return role(**shared | changes)

    def variables(self) -> dict[str, str]:
        """Return the variables that give the same settings to a child process."""
        values = {variable_name(name): as_text(value) for name, value in self if name != "kafka"}
        return values | {
            KAFKA_PREFIX + key.upper().replace(".", "_"): value for key, value in self.kafka.items()
        }

    def topic(self, name: str) -> str:
        """Return the full name of a topic."""
        return self.prefix + name

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_truth_values(cls, value: object) -> object:
        """No setting is true or false; pydantic would read them as the numbers 1 and 0."""
        if isinstance(value, bool):
            raise ValueError("a number or a string")
        return value

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Show which librdkafka settings are given but not their values, which may be secrets."""
        for name, value in super().__repr_args__():
            yield name, (dict.fromkeys(value, "***") if name == "kafka" else value)


Role = TypeVar("Role", bound=KafkaSettings)


class ProcessSettings(KafkaSettings):
    """Settings that all roles share."""

    group: str = Field(default="", description="Consumer group; empty uses the name of the role")
    metrics_host: str = Field(
        default="127.0.0.1", description="Address that serves /metrics, /livez and /readyz"
    )
    metrics_port: int = Field(
        default=0,
        ge=0,
        le=65_535,
        description="Port of the metrics and health endpoints; 0 picks a free one and logs it",
    )

    def group_of(self, role: str) -> str:
        """Return the consumer group of a role."""
        return self.prefix + (self.group or role)


class RoleSettings(ProcessSettings):
    """Settings that the worker and the trainer share."""

    artifacts: str = Field(
        default="artifacts",
        description="Folder or object-store URL that holds the models; another one for each --prefix",
    )


class ClientSettings(KafkaSettings):
    """Settings of a client that requests recommendations, such as ``dch recommend``."""

    role = "recommend"

    request_timeout_s: float = Field(
        default=10.0, ge=0.01, le=3600, description="Seconds to wait for a reply"
    )


LIMITS = ("ge", "le", "multiple_of")
KINDS: Mapping[object, str] = {int: "a whole number", float: "a number", str: "a string"}


def flag_name(name: str) -> str:
    """Return the flag of a setting: ``--request-timeout-s``."""
    return "--" + name.replace("_", "-")


def variable_name(name: str) -> str:
    """Return the environment variable of a setting: ``DCH_REQUEST_TIMEOUT_S``."""
    return PREFIX + name.upper()


def as_text(value: object) -> str:
    """Return the value of a setting in the form that a flag or a variable takes."""
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _sentence(role: type[KafkaSettings], error: ValidationError) -> str:
    """Describe the first wrong setting. The values of librdkafka settings are not shown."""
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0])
    if name not in role.model_fields:
        return f"there is no setting {flag_name(name)}; see --help"
    if name == "kafka":
        return "kafka must be key=value with a string as the value; write --kafka security.protocol=SSL"
    expected = _expected(role.model_fields[name], first["type"])
    where = f"{flag_name(name)} or {variable_name(name)}"
    return f"{name} must be {expected}, got {first['input']!r}; set it by {where}"


def _expected(field: FieldInfo, fault: str) -> str:
    """Return what a value must be, given its field and the fault that pydantic found."""
    limits = {kind: getattr(one, kind) for one in field.metadata for kind in LIMITS if hasattr(one, kind)}
    if fault in {"less_than_equal", "greater_than_equal", "finite_number"}:
        return f"{limits['ge']} to {limits['le']}"
    if fault == "multiple_of":
        return f"a multiple of {limits['multiple_of']}"
    if fault == "literal_error":
        return "one of " + ", ".join(get_args(field.annotation))
    if fault == "string_pattern_mismatch":
        return str(field.examples[0]) if field.examples else "host:port"
    return KINDS.get(field.annotation, "a list of strings")
