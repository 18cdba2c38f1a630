"""The routes of events: one request, from its body to its answer."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from itertools import count
from typing import Any

import msgspec
from aiohttp import web

from gateway.access.api_keys import Grant
from gateway.context import GATEWAY, GRANT, PERMIT, Gateway
from gateway.ingest.event_reader import Item, ParsedBody
from gateway.ingest.results import OK, Answer, Result, Status
from gateway.metrics import Metrics
from gateway.outgoing import Outcome, OutgoingRecord
from gateway.problems import BadRequest, NoAcceptableEvent, TooLarge, Unavailable
from gateway.request_spans import TRACED_AS
from schemas.event import MAX_TEXT
from schemas.ids import idempotent_id, uuid7
from schemas.judge import judge
from schemas.record import APPLICATION, EVENT_ID, RECEIVED_AT, SENT_AT, TRACEPARENT, UNKNOWN_EVENT_TYPES, Record
from schemas.rules import Rules
from schemas.session_clocks import FirstEventDecides
from schemas.topics import topic_names
from schemas.verdict import Accepted, Code, Violation

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_STRICT = re.compile(r'(?:^|,)\s*handling\s*=\s*"?strict"?\s*(?:[,;]|$)', re.IGNORECASE)
_STRICT_APPLIED = {"Preference-Applied": "handling=strict"}
_DURABLE = Outcome.DURABLE
_encode = msgspec.json.Encoder().encode


async def post_events(request: web.Request) -> web.Response:
    """Make the events of a request durable, and answer with the result of each.

    Raises a Problem, with the same results, when none of them could be accepted.
    """
    gateway, grant = request.app[GATEWAY], request[GRANT]
    parsed = await _read(request)
    identify_events(grant.application, parsed.items, request.headers.get("Idempotency-Key"))
    strict = is_strict(request)
    body = await store_events(gateway, grant, parsed, traceparent_of(request), strict=strict)
    headers = _STRICT_APPLIED if strict else None
    return web.Response(status=202, body=body, content_type="application/json", headers=headers)


async def validate_events(request: web.Request) -> web.Response:
    """Judge the events of a request by the stream's rules; nothing is stored."""
    parsed = await _read(request)
    answer = await judge_events(request, parsed.items, parsed.sent_at)
    return web.Response(body=_encode(answer), content_type="application/json")


async def judge_events(request: web.Request, items: Sequence[Item], sent_at: int | None = None) -> Answer:
    """Judge the events of a request by the stream's rules, and return what would become of each."""
    grant = request[GRANT]
    identify_events(grant.application, items, request.headers.get("Idempotency-Key"))
    await _judge_all(request.app[GATEWAY], items, make_records(grant, items, traceparent_of(request), sent_at))
    return _answer(items)


def is_strict(request: web.Request) -> bool:
    """Tell whether a request wants the stream's rules applied at the door."""
    return any(_STRICT.search(value) for value in request.headers.getall("Prefer", ()))


async def _read(request: web.Request) -> ParsedBody:
    """Read the events of a request as far as the rate limits allow, and charge it with them."""
    gateway, permit = request.app[GATEWAY], request[PERMIT]
    gateway.admission.check_rate(permit)
    parsed = await gateway.bodies.read_events(request, lambda size: gateway.admission.charge(permit, size))
    gateway.admission.charge(permit, 0, len(parsed.items))
    return parsed


def identify_events(application: str, items: Sequence[Item], key: str | None) -> None:
    """Give the events without an event_id one that a retried request with the same Idempotency-Key gives them again.

    Raises BadRequest for a key that is no text of 1 to 128 printable characters.
    """
    if key is None:
        return
    if not 1 <= len(key) <= MAX_TEXT or not key.isprintable():
        raise BadRequest(f"Idempotency-Key has 1 to {MAX_TEXT} printable characters.")
    for index, item in enumerate(items):
        if item.event_id is None and item.status is OK:
            item.event_id = idempotent_id(application, key, index)


async def store_events(
    gateway: Gateway, grant: Grant, parsed: ParsedBody, traceparent: str, *, strict: bool = False
) -> bytes:
    """Make the events of a request durable, and return the body of the answer.

    `traceparent` as it was sent; `strict`: an event that breaks a rule of the stream is not accepted.
    Raises a Problem, with the same results, when none of them could be accepted.
    """
    answer = await make_durable(gateway, grant, parsed.items, traceparent, sent_at=parsed.sent_at, strict=strict)
    if not answer.accepted:
        raise _refusal(parsed, answer)
    return _encode(answer)


async def make_durable(
    gateway: Gateway,
    grant: Grant,
    items: Sequence[Item],
    traceparent: str,
    *,
    sent_at: int | None = None,
    strict: bool = False,
) -> Answer:
    """Make the events that are `ok` durable, count all of them, and return what became of each.

    The way of every event into the raw topic, whatever format it came in.
    """
    records = make_records(grant, items, traceparent, sent_at)
    if strict:
        await _judge_all(gateway, items, records)
    going = []
    for item, record in zip(items, records, strict=True):
        if item.status is OK:
            going.append(record)
    if going:
        outcomes = iter(await gateway.publisher.publish(going))
        for item, record in zip(items, records, strict=True):
            if item.status is OK and (outcome := next(outcomes)) is not _DURABLE:
                _note_failure(item, record, outcome)
    _count(gateway.metrics, grant.application, items)
    return _answer(items)


def _note_failure(item: Item, record: OutgoingRecord, outcome: Outcome) -> None:
    if outcome is Outcome.RETRY:
        item.status = Status.RETRY
        return
    message = f"{len(record.value)} bytes; the topic takes no record of this size (max.message.bytes)"
    item.status, item.errors = Status.TOO_LARGE, [Violation(Code.TOO_LARGE, "$", message)]


def traceparent_of(request: web.Request) -> str:
    """Return the traceparent that a request's events carry; empty where nobody sent one."""
    return request[TRACED_AS] if TRACED_AS in request else request.headers.get(TRACEPARENT, "")


def make_records(grant: Grant, items: Sequence[Item], sent: str, sent_at: int | None = None) -> list[OutgoingRecord]:
    """Return the record of each event; one that will be stored gets an event_id here, unless it has one.

    `sent`: the sender's traceparent, if it is one. `sent_at`: the sender's clock when it sent the request, in
    milliseconds since 1970, if it said so.
    """
    now = time.time_ns() // 1_000_000
    random = os.urandom(24 + 10 * len(items))  # asked for once: each time is a call of the system
    traceparent = sent if _TRACEPARENT.fullmatch(sent) else f"00-{random[:16].hex()}-{random[16:24].hex()}-01"
    shared = [
        (APPLICATION, grant.application.encode()),
        (RECEIVED_AT, b"%d" % now),
        (TRACEPARENT, traceparent.encode()),
    ]
    if sent_at is not None:
        shared.append((SENT_AT, b"%d" % sent_at))
    if grant.unknown_event_types is not None:
        shared.append((UNKNOWN_EVENT_TYPES, grant.unknown_event_types.encode()))
    return [_record(item, shared, now, random[at : at + 10]) for at, item in zip(count(24, 10), items)]


def _record(item: Item, shared: list[tuple[str, bytes]], now: int, random: bytes) -> OutgoingRecord:
    if item.event_id is None and item.status is OK:
        item.event_id = uuid7(now, random)
    headers = [(EVENT_ID, (item.event_id or "").encode()), *shared]
    return OutgoingRecord((item.session_id or "").encode(), item.value, headers, now)


async def _judge_all(gateway: Gateway, items: Sequence[Item], records: Sequence[OutgoingRecord]) -> None:
    """Judge events by the stream's rules; one that breaks a rule becomes invalid, with every violation."""
    topic, size = topic_names(gateway.settings).raw, sum(len(record.value) for record in records)
    await gateway.bodies.offload_if_large(size, lambda: _judge(items, records, gateway.rules, topic))


def _judge(items: Sequence[Item], records: Sequence[OutgoingRecord], rules: Rules, topic: str) -> None:
    clocks = FirstEventDecides(rules.clock_skew)
    for item, record in zip(items, records, strict=True):
        raw = Record(topic, 0, 0, record.timestamp, record.key, record.value, record.headers)
        verdict = judge(raw, rules, clocks)
        if not isinstance(verdict, Accepted):
            item.errors = verdict.errors
            item.status = Status.INVALID if item.status is OK else item.status


def _answer(items: Sequence[Item]) -> Answer:
    accepted = sum(item.status is OK for item in items)
    results = [
        Result(index=index, event_id=item.event_id or msgspec.UNSET, status=item.status, errors=item.errors)
        for index, item in enumerate(items)
    ]
    return Answer(accepted, len(items) - accepted, results)


def _refusal(parsed: ParsedBody, answer: Answer) -> NoAcceptableEvent | TooLarge | Unavailable:
    """Return the problem of a request without a single accepted event."""
    members: dict[str, Any] = msgspec.structs.asdict(answer)
    if any(item.status is Status.RETRY for item in parsed.items):
        return Unavailable("No event could be made durable: send them again.", members=members)
    if parsed.single and parsed.items[0].status is Status.TOO_LARGE:
        return TooLarge(parsed.items[0].errors[0].message, members=members)
    if not parsed.items:
        return NoAcceptableEvent("There is no event in this request.", members=members)
    return NoAcceptableEvent("None of the events can be stored: the results say why.", members=members)


def _count(metrics: Metrics, application: str, items: Sequence[Item]) -> None:
    refused = [item for item in items if item.status is not OK]
    if len(refused) < len(items):
        metrics.events_of(application, OK).inc(len(items) - len(refused))
    for item in refused:
        metrics.events_of(application, item.status).inc()
    for item in items:
        for error in item.errors:
            metrics.event_errors.labels(application, error.code).inc()
