"""Settings of Faust from ours: its client knows the settings of a secure connection under other names."""

import ssl
from collections.abc import Mapping
from typing import Any

import faust
from faust.types.auth import CredentialsT

from streams.errors import SettingsError
from streams.settings import ObserverSettings

KNOWN = frozenset(
    {
        "security.protocol",
        "sasl.mechanism",
        "sasl.mechanisms",
        "sasl.username",
        "sasl.password",
        "ssl.ca.location",
        "ssl.certificate.location",
        "ssl.key.location",
        "ssl.key.password",
        "ssl.endpoint.identification.algorithm",
    }
)
"""The librdkafka settings that an observer takes."""

SESSION_TIMEOUT_S = 10.0
"""The other observers take over the partitions of a killed one after this."""

COMMIT_INTERVAL_S = 1.0


def app_settings(settings: ObserverSettings, datadir: str) -> dict[str, Any]:
    """Return the arguments of ``faust.App``.

    Raises:
        SettingsError: a librdkafka setting has no counterpart in Faust.
    """
    return {
        "broker": [f"kafka://{one.strip()}" for one in settings.bootstrap_servers.split(",") if one.strip()],
        "broker_credentials": credentials(settings.kafka),
        "broker_session_timeout": SESSION_TIMEOUT_S,
        "broker_heartbeat_interval": SESSION_TIMEOUT_S / 3,
        "broker_commit_interval": COMMIT_INTERVAL_S,
        "broker_request_timeout": max(settings.broker_timeout_s, SESSION_TIMEOUT_S + 1),
        "consumer_auto_offset_reset": "earliest",
        "processing_guarantee": "at_least_once",  # exactly-once is not: it repeated output after a kill
        "topic_partitions": settings.partitions,
        "topic_allow_declare": False,  # dch topics create creates all topics, and nothing else does
        "topic_disable_leader": True,  # another topic that Faust would create
        "datadir": datadir,  # Faust creates it, else in the working directory
        "web_enabled": False,
        "autodiscover": False,
    }


def credentials(kafka: Mapping[str, str]) -> CredentialsT | None:
    """Return the credentials that librdkafka settings describe; None for a plain connection.

    Raises:
        SettingsError: a setting is not among KNOWN, or its value is not known.
    """
    for name in kafka.keys() - KNOWN:
        raise SettingsError(
            f"kafka: dch observer does not know {name}; it takes {', '.join(sorted(KNOWN))}; other settings "
            "of librdkafka belong in the tables [worker] and [trainer] of a configuration file"
        )
    protocol = kafka.get("security.protocol", "plaintext").lower()
    if protocol not in {"plaintext", "ssl", "sasl_plaintext", "sasl_ssl"}:
        raise SettingsError(f"kafka: security.protocol is {protocol!r}, expected plaintext, ssl or sasl_...")
    context = _context(kafka) if protocol.endswith("ssl") else None
    if protocol.startswith("sasl"):
        return faust.SASLCredentials(
            username=kafka.get("sasl.username"),
            password=kafka.get("sasl.password"),
            mechanism=kafka.get("sasl.mechanism", kafka.get("sasl.mechanisms", "PLAIN")),
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context else None


def _context(kafka: Mapping[str, str]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=kafka.get("ssl.ca.location"))
        if "ssl.certificate.location" in kafka:
            certificate, key = kafka["ssl.certificate.location"], kafka.get("ssl.key.location")
            context.load_cert_chain(certificate, key, kafka.get("ssl.key.password"))
    except OSError as error:
        raise SettingsError(f"kafka: the certificates of ssl cannot be read: {error}") from None
    if kafka.get("ssl.endpoint.identification.algorithm", "https") in {"", "none"}:
        context.check_hostname = False
    return context
