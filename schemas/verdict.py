"""The verdict on a raw record: an accepted event, or a rejected one with every reason."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

import msgspec


class Code(StrEnum):
    """The kinds of broken rules. Applications and dashboards rely on the codes: never rename one."""

    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    BAD_VALUE = "bad_value"
    UNKNOWN_FIELD = "unknown_field"
    UNKNOWN_EVENT_TYPE = "unknown_event_type"
    BAD_TIMESTAMP = "bad_timestamp"
    FUTURE_TIMESTAMP = "future_timestamp"
    TOO_OLD = "too_old"
    TOO_LARGE = "too_large"
    TOO_DEEP = "too_deep"
    VALIDATOR_ERROR = "validator_error"


class Violation(msgspec.Struct, frozen=True):
    """One broken rule: its code, the JSON path of the invalid value, a sentence for people."""

    code: Code
    path: str
    message: str


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """An event that keeps every rule; encoded, it is the value of an `events.validated` record.

    `data` and `context` are JSON, byte for byte as sent. `user_id` and `context` are absent where they were not sent.
    `occurred_at` is the timestamp, corrected by the offset of its session's clock; the timestamp as sent and the offset
    in milliseconds are absent where nothing was corrected.
    """

    event_id: str
    application: str
    session_id: str
    category: str
    name: str
    occurred_at: datetime
    received_at: datetime
    schema_version: int
    data: msgspec.Raw
    user_id: str | msgspec.UnsetType = msgspec.UNSET
    context: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    timestamp_sent: datetime | msgspec.UnsetType = msgspec.UNSET
    clock_offset_ms: int | msgspec.UnsetType = msgspec.UNSET


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """An event that breaks at least one rule; encoded, it is the value of an `events.rejected` record.

    Fields that could not be read are null. `raw` is the record's value: as text, or as base64 if it is not UTF-8 or
    has control characters. Only a value above the size limit is cut (`raw_truncated`); `events.raw` has all of it.
    `clock_offset_ms` is the offset of its session's clock, absent where there is none.
    """

    event_id: str
    application: str
    session_id: str | None
    category: str | None
    name: str | None
    timestamp: str | None
    received_at: datetime
    errors: list[Violation]
    raw: str
    raw_encoding: Literal["utf-8", "base64"] = "utf-8"
    raw_truncated: bool = False
    clock_offset_ms: int | msgspec.UnsetType = msgspec.UNSET

    @property
    def codes(self) -> list[str]:
        """The distinct codes, in the order of the errors."""
        return list(dict.fromkeys(error.code.value for error in self.errors))


Verdict = Accepted | Rejected

_encoder = msgspec.json.Encoder()
_accepted_decoder = msgspec.json.Decoder(Accepted)
_rejected_decoder = msgspec.json.Decoder(Rejected)


def encode(verdict: Verdict) -> bytes:
    """Encode a verdict as JSON, the value of its topic's record."""
    return _encoder.encode(verdict)


def decode_accepted(value: bytes) -> Accepted:
    """Decode the value of an `events.validated` record. Raises msgspec.DecodeError on anything else."""
    return _accepted_decoder.decode(value)


def decode_rejected(value: bytes) -> Rejected:
    """Decode the value of an `events.rejected` record. Raises msgspec.DecodeError on anything else."""
    return _rejected_decoder.decode(value)
