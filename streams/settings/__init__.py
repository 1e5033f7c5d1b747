"""Settings, one class per role: each setting has a name, a meaning, a unit, a default and a range."""

from streams.settings.kafka_settings import ClientSettings, KafkaSettings, KeyForm, RoleSettings
from streams.settings.observer_settings import ObserverSettings
from streams.settings.trainer_settings import TrainerSettings
from streams.settings.worker_settings import WorkerSettings

__all__ = [
    "ClientSettings",
    "KafkaSettings",
    "KeyForm",
    "ObserverSettings",
    "RoleSettings",
    "TrainerSettings",
    "WorkerSettings",
]
