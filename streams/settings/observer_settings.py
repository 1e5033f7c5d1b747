"""Settings of ``dch observer``: name, meaning, unit, default and range, each declared once."""

from pydantic import Field

from streams.settings.kafka_settings import ProcessSettings


class ObserverSettings(ProcessSettings):
    """Settings of ``dch observer``."""

    role = "observer"

    kafka: dict[str, str] = Field(
        default={},
        description="A setting of SASL or TLS as key=value, named as in librdkafka, such as "
        "security.protocol=SSL; may be repeated",
    )
    show_interval_s: float = Field(
        default=15.0, ge=0.1, le=3600, description="Seconds between two updates of the metrics of windows"
    )
