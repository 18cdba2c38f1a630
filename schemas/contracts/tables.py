"""The tables that data teams read, with each column's type and meaning as Postgres has them; a test compares both."""

from __future__ import annotations

from typing import NamedTuple


class Column(NamedTuple):
    """A column: its name, its type in Postgres, whether it may be null, and its meaning."""

    name: str
    type: str
    nullable: bool
    meaning: str


EVENTS = (
    Column("event_id", "uuid", False, "The event's id, or a UUIDv5 of application and id where the id is no UUID."),
    Column("application", "text", False, "The application that sent the event."),
    Column("session_id", "text", False, "The session, as the application named it."),
    Column("category", "text", False, "The category of the event's type."),
    Column("name", "text", False, "The name of the event's type."),
    Column(
        "occurred_at",
        "timestamp with time zone",
        False,
        "The time at which the event occurred: the timestamp as sent, or corrected by clock_offset_ms;"
        " decides the monthly partition.",
    ),
    Column("received_at", "timestamp with time zone", False, "The time at which the gateway received the event."),
    Column("schema_version", "integer", False, "The version of the event's type that the payload was checked against."),
    Column("data", "jsonb", False, "The payload."),
    Column("source_partition", "integer", True, "Partition of the raw record in Kafka."),
    Column("source_offset", "bigint", True, "Offset of the raw record in Kafka."),
    Column("client_event_id", "text", True, "The id as the application sent it, where it is no UUID."),
    Column("user_id", "text", True, "The user as the application names them; null where none was sent."),
    Column(
        "context",
        "jsonb",
        True,
        "What was sent beside the payload (library, page, device, ...); null where nothing was.",
    ),
    Column(
        "timestamp_sent",
        "timestamp with time zone",
        True,
        "The timestamp as sent; null where occurred_at is just that.",
    ),
    Column(
        "clock_offset_ms",
        "bigint",
        True,
        "Milliseconds that were added to the timestamp, since the sender's clock is off: the same in all"
        " events of a session; null where nothing was corrected.",
    ),
)

REJECTED_EVENTS = (
    Column("event_id", "uuid", False, "The event's id, or a UUIDv5 of application and id where the id is no UUID."),
    Column("application", "text", False, "The application that sent the event."),
    Column("session_id", "text", True, "The session as sent; null where it could not be read."),
    Column("category", "text", True, "The category as sent, cut to 128 characters; null where it could not be read."),
    Column("name", "text", True, "The name as sent, cut to 128 characters; null where it could not be read."),
    Column("timestamp", "text", True, "The timestamp as sent, readable or not."),
    Column("received_at", "timestamp with time zone", False, "The time at which the gateway received the event."),
    Column("codes", "text[]", False, "The codes of the broken rules, each once."),
    Column("errors", "jsonb", False, "Every broken rule: code, JSON path of the value, message."),
    Column("raw", "text", False, "The record's value: text, or base64 as raw_encoding tells."),
    Column("raw_encoding", "text", False, "The encoding of raw: utf-8 or base64."),
    Column("raw_truncated", "boolean", False, "True where raw was cut at the size limit."),
    Column("source_partition", "integer", True, "Partition of the raw record in Kafka."),
    Column("source_offset", "bigint", True, "Offset of the raw record in Kafka."),
    Column("client_event_id", "text", True, "The id as the application sent it, where it is no UUID."),
    Column("redriven_by", "text", True, "The run of eye redrive that made it an event."),
    Column(
        "sent_at",
        "timestamp with time zone",
        True,
        "The time at which its request was sent, by the sender's clock; null where the request did not say.",
    ),
    Column(
        "unknown_event_types",
        "text",
        True,
        "What its application stated of event types that the catalogue lacks: accept or reject; null where"
        " it stated nothing.",
    ),
    Column(
        "clock_offset_ms",
        "bigint",
        True,
        "The clock_offset_ms of its session when it was judged; null where there is none.",
    ),
)

SESSIONS = (
    Column("session_id", "text", False, "The session, as its applications named it."),
    Column(
        "applications",
        "text[]",
        False,
        "The applications that sent events of it, in the order of their first event.",
    ),
    Column("revision", "bigint", False, "Grows with every change; an older summary never replaces a newer one."),
    Column("status", "text", False, "open while events are expected, else closed; a late event opens it again."),
    Column(
        "started_at",
        "timestamp with time zone",
        True,
        "The time at which its first accepted event occurred; null while there is none.",
    ),
    Column(
        "ended_at",
        "timestamp with time zone",
        True,
        "The time at which its last accepted event occurred; null while there is none.",
    ),
    Column("event_count", "bigint", False, "Number of accepted events."),
    Column("rejected_count", "bigint", False, "Number of rejected events."),
    Column(
        "counts_by_type",
        "jsonb",
        False,
        "Number of accepted events by category/name, of up to 300 types; others as other/other.",
    ),
    Column("first_event_id", "text", True, "The id of the event that occurred first, as sent."),
    Column("last_event_id", "text", True, "The id of the event that occurred last, as sent."),
    Column(
        "updated_at",
        "timestamp with time zone",
        False,
        "The time of its partition at the last change: the latest reception so far.",
    ),
    Column(
        "clock_offset_ms",
        "bigint",
        True,
        "Milliseconds that are added to the timestamps of its events, decided by its first event; null where"
        " they are taken as sent.",
    ),
)

TABLES: dict[str, tuple[str, tuple[Column, ...]]] = {
    "events": ("Accepted events, each once.", EVENTS),
    "rejected_events": ("Events that break a rule, each once, with every reason.", REJECTED_EVENTS),
    "sessions": ("The newest summary of each session.", SESSIONS),
}
"""The tables of schema `eye` by name, each with its meaning and its columns."""
