"""Where settings come from: flags, environment variables, a TOML file; the first that has a value wins.

``--linger-ms 5``, ``DCH_LINGER_MS=5`` and ``linger_ms = 5`` in the file set the same value. Settings of
librdkafka (SASL, TLS ...) pass through: ``--kafka security.protocol=SSL``,
``DCH_KAFKA_SECURITY_PROTOCOL=SSL``, or ``security.protocol = "SSL"`` in a table ``[kafka]`` of the file.
The file is named by ``--config FILE`` or ``DCH_CONFIG``. Its top level holds for every command; the tables
``[worker]``, ``[trainer]``, ``[observer]`` and ``[recommend]`` hold for that command only and win over the
top level.

No other module reads the environment.
"""

import difflib
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource, TomlConfigSettingsSource

from streams.errors import SettingsError
from streams.settings.kafka_settings import (
    KAFKA_PREFIX,
    PREFIX,
    ClientSettings,
    KafkaSettings,
    Role,
    variable_name,
)
from streams.settings.observer_settings import ObserverSettings
from streams.settings.trainer_settings import TrainerSettings
from streams.settings.worker_settings import WorkerSettings

CONFIG_VARIABLE = "DCH_CONFIG"
OTHER_VARIABLES = frozenset({CONFIG_VARIABLE, "DCH_DATA", "DCH_TEST_DATA", "DCH_PROVE"})
"""Variables that are not settings: the configuration file, the data sets, and a switch of the tests."""

ROLES: tuple[type[KafkaSettings], ...] = (WorkerSettings, TrainerSettings, ClientSettings, ObserverSettings)
NAMES = frozenset(name for role in ROLES for name in role.model_fields)

MIN_SIMILARITY = 0.6
"""Of the names in a hint, from 0 to 1; less similar names would mislead."""

log = logging.getLogger(__name__)


def load(role: type[Role], flags: Mapping[str, object] | None = None, *, config: Path | None = None) -> Role:
    """Fill the settings of a role from flags, variables, the configuration file and defaults, in this order.

    Args:
        role: the class of its settings.
        flags: by field name; None is a flag that was not given. Strings are parsed as variables are;
            ``kafka`` is a sequence of ``key=value``.
        config: the configuration file; None is the one that DCH_CONFIG names, if any.

    Raises:
        SettingsError: a value has the wrong form or is out of range, a name is unknown, or the file cannot be
            read.
    """
    _warn_of_unknown_variables()
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    if "kafka" in given:
        given["kafka"] = _pairs(given["kafka"])
    path = _config_path(config)
    in_file = {} if path is None else _read_file(role, path)
    sources: list[dict[str, Any]] = [in_file, _Variables(role)(), given]  # the last one wins
    values = {name: value for source in sources for name, value in source.items()}
    kafka = {name: value for source in sources for name, value in source.get("kafka", {}).items()}
    return role(**values | {"kafka": kafka})


def _config_path(config: Path | None) -> Path | None:
    if config is not None:
        return config
    named = os.environ.get(CONFIG_VARIABLE, "")
    return Path(named) if named else None


def outer_environ() -> dict[str, str]:
    """Return the environment of this process without DCH_ variables, for a child with settings of its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}


class _Variables(EnvSettingsSource):
    """The ``DCH_`` variables, in capitals. In the name of a librdkafka setting, "_" stands for a dot."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        # The library would take dch_prefix as well, which no page mentions and no warning sees.
        return {name.lower(): value for name, value in os.environ.items() if name.startswith(PREFIX)}

    def prepare_field_value(
        self,
        field_name: str,
        field: FieldInfo,
        value: Any,  # noqa: ANN401 - the signature of the library
        value_is_complex: bool,
    ) -> Any:  # noqa: ANN401
        if field_name != "kafka":
            return super().prepare_field_value(field_name, field, value, value_is_complex)
        prefix = KAFKA_PREFIX.lower()
        return {
            name.removeprefix(prefix).replace("_", "."): text
            for name, text in self.env_vars.items()
            if name.startswith(prefix)
        }


def _warn_of_unknown_variables() -> None:
    known = {variable_name(name) for name in NAMES - {"kafka"}} | OTHER_VARIABLES
    unknown = sorted(
        name
        for name in os.environ
        if name.startswith(PREFIX) and not name.startswith(KAFKA_PREFIX) and name not in known
    )
    for name in unknown:
        hint = _did_you_mean(name, known | {KAFKA_PREFIX + "..."})
        log.warning("%s is not a variable of dch and is ignored%s", name, hint)


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint at the most similar name; empty if no name is similar."""
    plain = {_plain(one): one for one in known}
    found = difflib.get_close_matches(_plain(name), sorted(plain), n=1, cutoff=MIN_SIMILARITY)
    return f"; did you mean {plain[found[0]]}?" if found else ""


def _plain(name: str) -> str:
    return name.lower().replace("-", "_").removeprefix(PREFIX.lower())


def _pairs(texts: object) -> dict[str, str]:
    """Split each ``key=value`` at its first ``=``."""
    found: dict[str, str] = {}
    for text in [texts] if isinstance(texts, str) else list(texts):  # type: ignore[call-overload]
        key, separator, value = str(text).partition("=")
        if not separator or not key.strip():
            raise SettingsError(
                "kafka must be key=value, got a value without a key or without '=' (not shown: it may be a "
                "secret); write --kafka security.protocol=SSL"
            )
        found[key.strip()] = value.strip()
    return found


def _read_file(role: type[KafkaSettings], path: Path) -> dict[str, object]:
    """Return the values of a configuration file that hold for a role; every name in the file is checked."""
    try:
        path.open().close()
        top = TomlConfigSettingsSource(role, path).toml_data
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(f"cannot read configuration file {path}: {reason}") from error
    tables = {one.role: _table(path, one.role, top.pop(one.role, {})) for one in ROLES}
    for name in top:
        _require_known(name, NAMES | tables.keys(), f"{path}")
    for one in ROLES:
        for name in tables[one.role]:
            _require_known(name, one.model_fields, f"{path}: [{one.role}]")
    own = tables.get(role.role, {})
    kafka = _texts(path, top.get("kafka", {})) | _texts(path, own.get("kafka", {}))
    values = {name: value for name, value in (top | own).items() if name in role.model_fields}
    values |= {"kafka": kafka}
    try:
        role(**values)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None
    return values


def _require_known(name: str, known: Iterable[str], where: str) -> None:
    if name not in known:
        raise SettingsError(f"{where}: there is no setting {name!r}{_did_you_mean(name, known)}")


def _table(path: Path, name: str, value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise SettingsError(f"{path}: {name} must be a table; write [{name}]")
    return value


def _texts(path: Path, table: object) -> dict[str, str]:
    """Return librdkafka settings as strings; an unquoted ``security.protocol`` is a nested table in TOML."""
    return dict(_flat("", _table(path, "kafka", table)))


def _flat(prefix: str, table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(f"{prefix}{key}.", value)
        else:
            yield prefix + key, str(value).lower() if isinstance(value, bool) else str(value)
