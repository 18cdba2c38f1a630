"""A verdict as the record that its topic carries."""

from __future__ import annotations

from functools import lru_cache

from schemas import record
from schemas.record import Headers, RawRecord, to_millis
from schemas.verdict import Accepted, Verdict, encode
from stream.checkpoint import OutgoingRecord

_MAX_HEADERS_BYTES = 2048
"""What a gateway writes fits; what else may stand there could make a verdict too large to write."""


def verdict_record(raw: RawRecord, verdict: Verdict, place: bytes) -> OutgoingRecord:
    """Return what is published of a raw record; `place` is the beginning of its source, `topic:partition:`."""
    source = (record.SOURCE, b"%b%d" % (place, raw.offset))
    if isinstance(verdict, Accepted):
        types = _type_headers(verdict.category, verdict.name, verdict.schema_version)
        return raw.key, encode(verdict), [*_common_headers(raw, verdict), *types, source]
    key = verdict.session_id.encode() if verdict.session_id is not None else None
    codes = (record.CODES, ",".join(verdict.codes).encode())
    return key, encode(verdict), [*_common_headers(raw, verdict), source, codes]


def _common_headers(raw: RawRecord, verdict: Verdict) -> Headers:
    """The raw record's own headers, made up for where no gateway wrote them."""
    if _as_a_gateway_writes(raw.headers):
        return raw.headers
    traceparent = [header for header in raw.headers if header[0] == record.TRACEPARENT and len(header[1] or b"") <= 128]
    return [
        (record.EVENT_ID, verdict.event_id.encode()),
        (record.APPLICATION, verdict.application.encode()),
        (record.RECEIVED_AT, str(to_millis(verdict.received_at)).encode()),
        *traceparent,
    ]


def _as_a_gateway_writes(headers: Headers) -> bool:
    values = record.gateway_values(headers)
    if values is None:
        return False
    event_id, application, received_at, traceparent = values
    if not (event_id and application and received_at and traceparent):
        return False
    return len(event_id) + len(application) + len(received_at) + len(traceparent) <= _MAX_HEADERS_BYTES


@lru_cache(maxsize=4096)
def _type_headers(category: str, name: str, version: int) -> Headers:
    return (
        (record.CATEGORY, category.encode()),
        (record.NAME, name.encode()),
        (record.SCHEMA_VERSION, str(version).encode()),
    )
