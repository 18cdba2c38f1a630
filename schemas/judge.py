"""Judging: one raw record in, one verdict out. Total, and blind to the clock.

An event that keeps every rule is recognised in one pass over its bytes. Whatever that pass does not
take is examined a second time, slowly, so that every violation is listed with its path.
"""

from __future__ import annotations

import re

import msgspec

from schemas import lenient
from schemas.catalogue import EventType
from schemas.event import SentEvent, in_utc
from schemas.examine import examine
from schemas.record import Envelope, RawRecord, open_envelope
from schemas.rules import Rules
from schemas.verdict import Accepted, Verdict


def judge(raw: RawRecord, rules: Rules) -> Verdict:
    """Judge one raw record.

    Any bytes get a verdict, and no clock is read: a replay under the same rules judges as the first
    run did.
    """
    value, envelope = raw.value or b"", open_envelope(raw)
    return _accept(value, envelope, rules) or examine(value, envelope, rules)


_decoder = msgspec.json.Decoder(SentEvent)
_half_a_pair_or_nul = re.compile(rb"\\u(0000|[dD][89a-fA-F])")
_far_exponent = re.compile(rb"[eE][+-]?\d{3,}[\s,\]}]")
_many_digits = re.compile(rb"(?<!\d)\d{300}")
_any_decoder = msgspec.json.Decoder()


def _accept(value: bytes, envelope: Envelope, rules: Rules) -> Accepted | None:
    """Recognise an event without fault; None leaves it to `examine`, which may still find none."""
    if len(value) > rules.max_event_bytes or (b"\\" in value and _half_a_pair_or_nul.search(value)):
        return None
    try:
        sent = _decoder.decode(value)
        event_type = rules.type_of(sent.category, sent.name, sent.schema_version)
        if event_type is None or sent.session_id.encode() != envelope.key:
            return None
        if event_type.plain is not None:
            event_type.plain.decode(sent.data)
        elif not _keeps_all_rules(event_type, bytes(sent.data)):
            return None
        occurred_at = in_utc(sent.timestamp)
    except Exception:  # whatever is wrong here, a rule's own bug included, is named by `examine`
        return None
    if rules.time_fault(occurred_at, envelope.received_at):
        return None
    return Accepted(
        envelope.event_id,
        envelope.application,
        sent.session_id,
        sent.category,
        sent.name,
        occurred_at,
        envelope.received_at,
        event_type.version,
        sent.data,
    )


def _keeps_all_rules(event_type: EventType, data: bytes) -> bool:
    """Hold a payload against its type. Raises pydantic's ValidationError, and whatever a rule's bug does."""
    if data[:1] != b"{" or _maybe_unstorable(data):
        return False
    event_type.check(data)
    return True


def _maybe_unstorable(data: bytes) -> bool:
    """Tell whether a payload might hold numbers or a depth that Postgres can't; errs on the side of true.

    Runs for most events, so that what only long payloads can hold is looked for in those alone. Raises
    msgspec.ValidationError for a number beyond a double.
    """
    if len(data) > 2 * lenient.MAX_DEPTH and data.count(b"{") + data.count(b"[") >= lenient.MAX_DEPTH:
        return True
    if len(data) > 300 and _many_digits.search(data):
        return True
    # what the decoder below takes for 0, a double being too small or 0 itself
    if any(sign in data for sign in (b"e-", b"E-", b"0e", b"0E")) and _far_exponent.search(data):
        return True
    _any_decoder.decode(data)
    return False
