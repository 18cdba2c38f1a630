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
    Code.UNKNOWN_EVENT_TYPE: "The catalogue lacks this category and name, and neither its application nor the setting"
    " accepts such.",
    Code.BAD_TIMESTAMP: "No ISO 8601 date and time: `timestamp`, or `sent_at` of an event.",
    Code.FUTURE_TIMESTAMP: "Later than its reception by more than `EYE_MAX_FUTURE_SECONDS`, as sent or corrected.",
    Code.TOO_OLD: "Earlier than its reception by more than `EYE_MAX_AGE_SECONDS`, as sent or corrected; off by"
    " default.",
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
        "`event_id`, `application`, `received_at` (ms), `traceparent`; `sent_at` (ms) where the request said it,"
        " `unknown_event_types` where the application states it",
    ],
    "events.validated": [
        "stream",
        "session_id",
        "JSON: event_id, application, session_id, category, name, occurred_at, received_at, schema_version, data;"
        " user_id and context where they were sent; timestamp_sent and clock_offset_ms where occurred_at was corrected",
        "as raw, `category`, `name`, `schema_version`, `source` (`topic:partition:offset`); `replay`"
        " where published again, `redrive` where an operator mended it",
    ],
    "events.rejected": [
        "stream",
        "session_id or null",
        "JSON: what could be read, `errors` (code, path, message), `raw` (`raw_encoding`: `utf-8` or `base64`;"
        " `raw_truncated`); clock_offset_ms where its session has one",
        "as raw, `source`, `codes`",
    ],
    "sessions": [
        "stream",
        "session_id",
        "JSON: session_id, applications, revision, status, started_at, ended_at, event_count, rejected_count,"
        " counts_by_type, first_event_id, last_event_id, updated_at; clock_offset_ms where its events are corrected",
        "`revision`",
    ],
}

FILLED_BY = {
    "events": "sinks/tables/events.py",
    "event_keys": "sinks/tables/events.py",
    "rejected_events": "sinks/tables/rejected_events.py",
    "sessions": "sinks/tables/sessions.py",
    "sink_positions": "sinks/positions.py",
    "kafka_clusters": "sinks/kafka_clusters.py",
    "replaced_verdicts": "sinks/tables/corrections.py",
    "redrive_attempts": "eye/redrive/run.py",
    "replays": "eye/runs/runs.py",
    "replay_partitions": "eye/runs/runs.py",
    "replay_workers": "eye/runs/claims.py",
}

TABLES = {
    "events_default": "Events whose month has no partition.",
    "migrations": "The migrations that were applied.",
    "schema_migrations": "The migrations that were applied.",
}


"""Meanings of columns that have no comment in Postgres; `table.column` goes before `column`."""
