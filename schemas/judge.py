"""Judging: one raw record in, one verdict out. Total, and blind to the clock.

An event that keeps every rule is recognised in one pass over its bytes. Whatever that pass does not
take is examined a second time, slowly, so that every violation is listed with its path.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from schemas import json_reader
from schemas.catalogue import EventType
from schemas.event import SentEvent, in_utc
from schemas.record import Envelope, RawRecord, open_envelope
from schemas.rules import Rules
from schemas.verdict import Accepted, Verdict
from schemas.violations import examine


def judge(raw: RawRecord, rules: Rules) -> Verdict:
    """Judge one raw record.

    Any bytes get a verdict, and no clock is read: a replay under the same rules judges as the first
    run did.
    """
    return judge_value(raw.value or b"", open_envelope(raw), rules)


def judge_value(value: bytes, envelope: Envelope, rules: Rules) -> Verdict:
    """Judge a raw record's value, its envelope being open."""
    return _accept(value, envelope, rules) or examine(value, envelope, rules)


_decoder = msgspec.json.Decoder(SentEvent)
_BACKSLASH = ord("\\")
"""A byte is found in a seventh of the time that bytes are."""
_half_a_pair_or_nul = re.compile(rb"\\u(0000|[dD][89a-fA-F])")
_far_exponent = re.compile(rb"[eE][+-]?\d{3,}[\s,\]}]")
_many_digits = re.compile(rb"(?<!\d)\d{300}")
_object_decoder = msgspec.json.Decoder(dict[str, Any])


def _accept(value: bytes, envelope: Envelope, rules: Rules) -> Accepted | None:
    """Recognise an event without fault; None leaves it to `examine`, which may still find none."""
    if len(value) > rules.max_event_bytes or (_BACKSLASH in value and _half_a_pair_or_nul.search(value)):
        return None
    try:
        sent = _decoder.decode(value)
        event_type = rules.type_of(sent.category, sent.name, sent.schema_version)
        if event_type is None or sent.session_id.encode() != envelope.key:
            return None
        plain = event_type.plain
        if plain is None:
            _check(event_type, bytes(sent.data))
        else:
            plain.decoder.decode(sent.data)
        if (plain is None or not plain.is_flat) and _maybe_unstorable(bytes(sent.data)):
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


def _check(event_type: EventType, data: bytes) -> None:
    """Hold a payload against its type.

    Raises msgspec.ValidationError for a number beyond a double, pydantic's for a broken rule, and whatever a rule's
    bug does.
    """
    _object_decoder.decode(data)
    event_type.check(data)


def _maybe_unstorable(data: bytes) -> bool:
    """Tell whether a payload might hold numbers or a depth that Postgres can't; errs on the side of true.

    What only long payloads can hold is looked for in those alone.
    """
    if len(data) > 2 * json_reader.MAX_DEPTH and data.count(b"{") + data.count(b"[") >= json_reader.MAX_DEPTH:
        return True
    if len(data) > 300 and _many_digits.search(data):
        return True
    # what a decoder takes for 0, a double being too small or 0 itself
    lowered = data.lower()
    may_be_tiny = lowered.find(b"e-") >= 0 or lowered.find(b"0e") >= 0
    return may_be_tiny and _far_exponent.search(data) is not None
