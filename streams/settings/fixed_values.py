"""Settings of librdkafka that are fixed: the guarantees of the service, or a setting of ours, decide them."""

from collections.abc import Mapping

PRODUCER_FIXED: Mapping[str, object] = {
    "enable.idempotence": True,
    "acks": "all",
    "partitioner": "murmur2_random",  # librdkafka's default differs from Java for 159 of 200 test keys
    "delivery.report.only.error": True,  # no Python callback for each delivered record
}
CONSUMER_FIXED: Mapping[str, object] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "partition.assignment.strategy": "range",  # one member owns partition p of every topic, unlike sticky
    "enable.partition.eof": True,  # the end of a partition is an event: silence does not tell it
}
OWN_SETTINGS: Mapping[str, str] = {
    "bootstrap.servers": "--bootstrap-servers",
    "metadata.broker.list": "--bootstrap-servers",
    "group.id": "--group",
    "delivery.timeout.ms": "--broker-patience-s",
    "message.timeout.ms": "--broker-patience-s",
}
"""Settings of librdkafka that have a flag here, which errors and logs name."""

OTHER_NAMES: Mapping[str, str] = {"request.required.acks": "acks"}
EQUAL_VALUES: Mapping[str, str] = {"1": "true", "t": "true", "0": "false", "f": "false"}


def fault_of(name: str, value: str) -> str | None:
    """Return why a librdkafka setting must not be given; None if it may."""
    if name in OWN_SETTINGS:
        flag = OWN_SETTINGS[name]
        variable = "DCH_" + flag.removeprefix("--").replace("-", "_").upper()
        return f"kafka must not hold {name}; set it by {flag} or {variable}"
    key = OTHER_NAMES.get(name, name)
    wanted = PRODUCER_FIXED.get(key, CONSUMER_FIXED.get(key))
    if wanted is None or _same(key, value, str(wanted)):
        return None
    return (
        f"kafka must not set {name}={value}: the service works only with {str(wanted).lower()}; leave it out"
    )


def _same(name: str, value: str, wanted: str) -> bool:
    plain = value.strip().lower()
    if name == "acks":  # 1 is a number of replicas there
        return plain in ("all", "-1")
    return EQUAL_VALUES.get(plain, plain) == wanted.lower()
