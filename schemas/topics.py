"""The four topics: names, partitions, retention; and the names of the sinks that read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.settings import Settings

_HOUR_MS = 3_600_000

_ENVELOPE_BYTES = 4 * 1024
_VIOLATIONS_BYTES = 220_000
_SESSION_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """The properties that a topic is created with. `replication_factor` None: the broker's default."""

    name: str
    partitions: int
    replication_factor: int | None
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics' names in one deployment, the prefix included."""

    raw: str
    validated: str
    rejected: str
    sessions: str


def topic_names(settings: Settings) -> Topics:
    """Return the names of the four topics."""
    prefix = settings.topic_prefix
    return Topics(f"{prefix}events.raw", f"{prefix}events.validated", f"{prefix}events.rejected", f"{prefix}sessions")


def sink_names(settings: Settings) -> dict[str, str]:
    """Return, by topic, the name of the sink that stores it: the deployment's group and the table's name."""
    topics, group = topic_names(settings), settings.group
    return {
        topics.validated: f"{group}events",
        topics.rejected: f"{group}rejected_events",
        topics.sessions: f"{group}sessions",
    }


def topic_specs(settings: Settings) -> list[TopicSpec]:
    """Return the properties of the four topics; all have the same number of partitions."""
    names = topic_names(settings)
    hours = {
        names.raw: settings.raw_retention_hours,
        names.validated: settings.validated_retention_hours,
        names.rejected: settings.rejected_retention_hours,
    }
    kept = {name: {"cleanup.policy": "delete", "retention.ms": str(h * _HOUR_MS)} for name, h in hours.items()}
    kept[names.sessions] = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.1"}
    return [TopicSpec(name, settings.partitions, settings.replication_factor, config) for name, config in kept.items()]


def largest_records(settings: Settings) -> dict[str, int]:
    """Return, by topic, how large its largest record can be, key, headers and Kafka's own bytes included.

    A rejected event may be twice as long as what was sent, its violations aside. Of `sessions`, whose summaries have
    no such bound, a long one counts.
    """
    names, event = topic_names(settings), settings.max_event_bytes
    return {
        names.raw: event + _ENVELOPE_BYTES,
        names.validated: event + 2 * _ENVELOPE_BYTES,
        names.rejected: 2 * event + 2 * _ENVELOPE_BYTES + _VIOLATIONS_BYTES,
        names.sessions: _SESSION_BYTES,
    }


def record_limit_fault(topic: str, limit: int, largest: int) -> str | None:
    """Return in a sentence that a topic's limit is below its largest record, and what mends it; None where it fits."""
    if limit >= largest:
        return None
    return f"max.message.bytes of {topic} is {limit:,}, and a record may have {largest:,} bytes: raise it" + (
        "" if topic.endswith("sessions") else ", or lower EYE_MAX_EVENT_BYTES"
    )
