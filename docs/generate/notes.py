"""Sentences of the reference that the code has no place for; the tests check that none is missing."""

from __future__ import annotations

from schemas.verdict import Code

CODE_MEANINGS = {
    Code.NOT_JSON: "The event is no JSON, or no UTF-8.",
    Code.NOT_AN_OBJECT: "The event is JSON, but no object.",
    Code.MISSING_FIELD: "A field is required.",
    Code.WRONG_TYPE: "A value has another type.",
    Code.BAD_VALUE: "A value breaks a rule, or can't be stored: U+0000, half a surrogate pair, NaN, a number beyond a"
    " double.",
    Code.UNKNOWN_FIELD: "There is no such field.",
    Code.UNKNOWN_EVENT_TYPE: "The catalogue lacks this category and name.",
    Code.BAD_TIMESTAMP: "No ISO 8601 date and time.",
    Code.FUTURE_TIMESTAMP: "Later than its reception by more than the allowed skew (`EYE_MAX_FUTURE_SECONDS`).",
    Code.TOO_OLD: "Earlier than its reception by more than `EYE_MAX_AGE_SECONDS`; off by default.",
    Code.TOO_LARGE: "More bytes than `EYE_MAX_EVENT_BYTES`.",
    Code.TOO_DEEP: "Nested deeper than 64 levels.",
    Code.VALIDATOR_ERROR: "The event type's own rule failed: a bug in it.",
}

STATUS_NOTES = {
    400: "the body is no JSON; broken compression; a query parameter can't be read; what is no HTTP",
    401: "no key, or an unknown one",
    403: "the key lacks the scope",
    404: "there is no such thing (yet)",
    405: "see `Allow`",
    408: "the request came too slowly; its connection is closed",
    413: "above the limits for event, request or number of events",
    415: "see `Accept`, `Accept-Encoding`",
    417: "the header `Expect` is not `100-continue`",
    422: "no event of the request could be taken; `results` says why",
    429: "more events than the application, or the key, may send; see `Retry-After`",
    431: "a line of the request's head is too long",
    500: "a bug of ours; it is logged",
    503: "not now: send it again after `Retry-After` seconds",
}

METRIC_NOTES = {
    "eye_partition_lag_seconds": "Age of the oldest record still to be worked on; 0 without lag.",
    "eye_partition_standstill_seconds": "How long it has not moved though it has lag; from 20 s on `/healthz`"
    " and the log"
    " tell, after 60 s without a failure the worker begins anew.",
    "eye_disk_free_bytes": "Room left for us on the disk of a directory: `data`, and a gateway's `spool`.",
    "eye_disk_size_bytes": "Size of that disk.",
    "eye_build_info": "What runs here: component, version, version of Python.",
}

TOPICS = {
    "events.raw": [
        "gateway",
        "session_id",
        "the event's JSON, byte for byte as sent",
        "`event_id`, `application`, `received_at` (ms), `traceparent`",
    ],
    "events.validated": [
        "stream",
        "session_id",
        "JSON: event_id, application, session_id, category, name, occurred_at, received_at, schema_version, data;"
        " user_id and context where they were sent",
        "the above, `category`, `name`, `schema_version`, `source` (`topic:partition:offset`); `replay` where published"
        " again, `redrive` where an operator mended it",
    ],
    "events.rejected": [
        "stream",
        "session_id or null",
        "JSON: what could be read, `errors` (code, path, message), `raw` (`raw_encoding`: `utf-8` or `base64`;"
        " `raw_truncated`)",
        "as raw, `source`, `codes`",
    ],
    "sessions": [
        "stream",
        "session_id",
        "JSON: session_id, applications, revision, status, started_at, ended_at, event_count, rejected_count,"
        " counts_by_type, first_event_id, last_event_id, updated_at",
        "`revision`",
    ],
}

FILLED_BY = {
    "events": "sinks/tables/events.py",
    "event_keys": "sinks/tables/events.py",
    "rejected_events": "sinks/tables/rejected_events.py",
    "sessions": "sinks/tables/sessions.py",
    "sink_positions": "sinks/positions.py",
    "replaced_verdicts": "sinks/tables/corrections.py",
    "redrive_attempts": "eye/redrive/run.py",
    "replays": "eye/runs/runs.py",
    "replay_partitions": "eye/runs/runs.py",
}

TABLES = {
    "events_default": "Events whose month has no partition.",
    "migrations": "The migrations that were applied.",
    "schema_migrations": "The migrations that were applied.",
}

COLUMNS = {
    "event_id": "The event's id, or a UUIDv5 of application and id where the id is no UUID.",
    "client_event_id": "The id as the application sent it, where it is no UUID.",
    "application": "The application whose key sent the event.",
    "session_id": "The session, as sent.",
    "category": "First part of the event type, as sent.",
    "name": "Second part of the event type, as sent.",
    "occurred_at": "The event's timestamp, in UTC.",
    "received_at": "The time at which the gateway took the event.",
    "schema_version": "The version of the event type's rules that judged it.",
    "data": "The payload.",
    "source_partition": "Partition of the raw record in Kafka.",
    "source_offset": "Offset of the raw record in Kafka.",
    "codes": "The distinct codes of the errors.",
    "errors": "Every violation: code, path, message.",
    "raw": "The record's value: text, or base64 as raw_encoding tells.",
    "raw_encoding": "utf-8 or base64.",
    "raw_truncated": "Whether the value was above the size limit and is cut; events.raw has all of it.",
    "redriven_by": "The run of eye redrive that made it an event.",
    "applications": "The applications that sent events of the session.",
    "revision": "Grows with every change; an older summary never replaces a newer one.",
    "sessions.status": "open or closed.",
    "started_at": "Earliest occurred_at of its accepted events.",
    "ended_at": "Latest occurred_at of its accepted events.",
    "event_count": "Accepted events.",
    "rejected_count": "Rejected events.",
    "counts_by_type": "Accepted events by event type.",
    "first_event_id": "The accepted event that occurred first.",
    "last_event_id": "The accepted event that occurred last.",
    "updated_at": "Time of the last change.",
    "sink": "The sink's name: EYE_GROUP and the table.",
    "topic": "The topic, its prefix included.",
    "partition": "The topic's partition.",
    "next_offset": "The next offset to be read; the rows of all before it are stored.",
    "row_count": "Rows stored so far; what was there already does not count.",
    "run": "The id of a run of eye replay or eye redrive; ids sort by the time the runs were started.",
    "replays.target": "sink, stream, file, or redrive.",
    "replays.selection": "The conditions of the run.",
    "replays.options": "Its options.",
    "replays.started_by": "User and host that started it.",
    "replays.started_at": "Time of its start.",
    "replays.ended_at": "Time of its end; null while it runs.",
    "replays.status": "running (or killed), stopped, cancelled, failed, or done.",
    "replays.result": "What the run came to, and its proof.",
    "first_offset": "First offset of the run in this partition.",
    "end_offset": "Offset at which the run ends in this partition.",
    "selected": "Records that were selected so far.",
    "changed": "Rows that are new or were replaced so far.",
    "redriven": "An operator mended the event: later runs leave it alone.",
    "attempts": "How often eye redrive has tried the event.",
    "last_run": "The run of the last attempt.",
    "last_at": "Time of the last attempt.",
    "rejected_events.timestamp": "The timestamp as sent, readable or not.",
    "checksum": "SHA-256 of the migration's file.",
    "applied_at": "Time at which the migration was applied.",
}
"""Meanings of columns that have no comment in Postgres; `table.column` goes before `column`."""
