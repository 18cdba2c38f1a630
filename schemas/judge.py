"""Judge raw records: one record in, one verdict out, for any bytes and without reading a clock.

An event that keeps every rule is recognised in one fast pass over its bytes. Any other event is read a second time,
slowly, to list every violation with its path.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import UNSET

from schemas import json_reader
from schemas.catalogue import EventType
from schemas.event import NO_CONTEXT, SentEvent
from schemas.record import Envelope, RawRecord, open_envelope
from schemas.rules import Rules
from schemas.session_clocks import FirstEventDecides, SessionClocks, corrected
from schemas.timestamp import in_utc
from schemas.verdict import Accepted, Verdict
from schemas.violations import collect_violations


def judge(raw: RawRecord, rules: Rules, clocks: SessionClocks | None = None) -> Verdict:
    """Judge one raw record, by default as the first event of its session.

    Any bytes get a verdict, and no clock is read: a replay under the same rules gives the same verdicts.
    """
    if clocks is None:
        clocks = FirstEventDecides(rules.clock_skew)
    return judge_value(raw.value or b"", open_envelope(raw), rules, clocks)


def judge_value(value: bytes, envelope: Envelope, rules: Rules, clocks: SessionClocks) -> Verdict:
    """Judge a raw record's value, given its decoded envelope and what is known of its session's clock."""
    return _accept(value, envelope, rules, clocks) or collect_violations(value, envelope, rules, clocks)


_decoder = msgspec.json.Decoder(SentEvent)
_BACKSLASH = ord("\\")
"""An integer, since finding a byte takes a seventh of the time of finding bytes."""
_half_a_pair_or_nul = re.compile(rb"\\u(0000|[dD][89a-fA-F])")
_far_exponent = re.compile(rb"[eE][+-]?\d{3,}[\s,\]}]")
_many_digits = re.compile(rb"(?<!\d)\d{300}")
_object_decoder = msgspec.json.Decoder(dict[str, Any])


def _accept(value: bytes, envelope: Envelope, rules: Rules, clocks: SessionClocks) -> Accepted | None:
    """Recognise a valid event; None leaves the verdict to `collect_violations`, which may still accept it."""
    if len(value) > rules.max_event_bytes or (_BACKSLASH in value and _half_a_pair_or_nul.search(value)):
        return None
    try:
        sent = _decoder.decode(value)
        received_at = envelope.received_at
        event_type = rules.type_of(sent.category, sent.name, sent.schema_version, envelope.accept_unknown, received_at)
        if event_type is None or sent.session_id.encode() != envelope.key or sent.session_id.isspace():
            return None
        if (sent.event_id and sent.event_id.isspace()) or (sent.user_id and sent.user_id.isspace()):
            return None
        if sent.context is not NO_CONTEXT and not _is_plain_object(bytes(sent.context)):
            return None
        fast = event_type.fast_payload
        if fast is None:
            _check(event_type, bytes(sent.data))
        else:
            fast.decoder.decode(sent.data)
        if (fast is None or not fast.is_flat) and _maybe_unstorable(bytes(sent.data)):
            return None
        timestamp = occurred_at = in_utc(sent.timestamp)
        sent_at = envelope.sent_at if sent.sent_at is None else in_utc(sent.sent_at)
        offset = clocks.clock_offset(sent.session_id, sent_at, envelope.received_at)
        if offset is not None:
            occurred_at = corrected(timestamp, offset)
    except Exception:  # `collect_violations` names the fault, even a bug in a rule
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
        UNSET if sent.user_id is None else sent.user_id,
        UNSET if sent.context is NO_CONTEXT else sent.context,
        UNSET if offset is None else timestamp,
        UNSET if offset is None else offset,
    )


def _is_plain_object(context: bytes) -> bool:
    """Return whether a context is an object that Postgres can store for sure. Raises msgspec's errors."""
    _object_decoder.decode(context)
    return not _maybe_unstorable(context)


def _check(event_type: EventType, data: bytes) -> None:
    """Check a payload against its type.

    Raises msgspec.ValidationError for a number beyond a double, pydantic's for a broken rule, and any exception of a
    rule with a bug.
    """
    _object_decoder.decode(data)
    event_type.check(data)


def _maybe_unstorable(data: bytes) -> bool:
    """Return whether a payload might hold numbers or a depth that Postgres cannot store; may wrongly return true.

    Faults that only long payloads can have are looked for in long payloads only.
    """
    if len(data) > 2 * json_reader.MAX_DEPTH and data.count(b"{") + data.count(b"[") >= json_reader.MAX_DEPTH:
        return True
    if len(data) > 300 and _many_digits.search(data):
        return True
    # what a decoder takes for 0, a double being too small or 0 itself
    lowered = data.lower()
    may_be_tiny = lowered.find(b"e-") >= 0 or lowered.find(b"0e") >= 0
    return may_be_tiny and _far_exponent.search(data) is not None
