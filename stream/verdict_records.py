"""Encode a verdict as the record of its topic."""

from __future__ import annotations

from functools import lru_cache

from schemas.record import (
    APPLICATION,
    CATEGORY,
    CODES,
    EVENT_ID,
    NAME,
    RECEIVED_AT,
    SCHEMA_VERSION,
    SOURCE,
    TRACEPARENT,
    Envelope,
    Headers,
    RawRecord,
    said_in,
    to_millis,
)
from schemas.verdict import Accepted, Verdict, encode
from stream.checkpoint import OutgoingRecord


def verdict_record(raw: RawRecord, envelope: Envelope, verdict: Verdict, place: bytes) -> OutgoingRecord:
    """Return the record that publishes a verdict; `place` is the start of its source header, `topic:partition:`."""
    common = envelope.headers or _common_headers(raw, verdict)
    source = (SOURCE, b"%b%d" % (place, raw.offset))
    if isinstance(verdict, Accepted):
        types = _type_headers(verdict.category, verdict.name, verdict.schema_version)
        return envelope.key, encode(verdict), [*common, *types, source]
    key = verdict.session_id.encode() if verdict.session_id is not None else None
    codes = (CODES, ",".join(verdict.codes).encode())
    return key, encode(verdict), [*common, source, codes]


def _common_headers(raw: RawRecord, verdict: Verdict) -> Headers:
    """Return the headers that a gateway would have written."""
    traceparent = [header for header in raw.headers if header[0] == TRACEPARENT and len(header[1] or b"") <= 128]
    return [
        (EVENT_ID, verdict.event_id.encode()),
        (APPLICATION, verdict.application.encode()),
        (RECEIVED_AT, str(to_millis(verdict.received_at)).encode()),
        *traceparent,
        *said_in(raw.headers).headers,
    ]


@lru_cache(maxsize=4096)
def _type_headers(category: str, name: str, version: int) -> Headers:
    return (
        (CATEGORY, category.encode()),
        (NAME, name.encode()),
        (SCHEMA_VERSION, str(version).encode()),
    )
