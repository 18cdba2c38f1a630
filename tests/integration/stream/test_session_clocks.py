"""The clock offset of a session on a real Kafka: decided once, and the same for whoever comes after."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.errors import KafkaError

from schemas.record import Record
from schemas.settings import Settings
from schemas.topics import Topics
from tests.integration.stream.raw_partition import send, sessions, the_work, values
from tests.support.builders import a_raw_record, after, an_event, gateway_headers

HOUR_MS = 3_600_000


def sent(event_id: str, timestamp: float, clock: float | None, **changes: Any) -> Record:
    """Return the raw record of an event: when it happened and was sent by its sender's clock, in seconds."""
    headers = gateway_headers(event_id, sent_at=None if clock is None else after(clock))
    return a_raw_record(an_event(timestamp=after(timestamp).isoformat(), **changes), headers=headers)


def times(settings: Settings, topics: Topics) -> dict[str, tuple[str, int | None]]:
    """Return when each accepted event occurred, and the offset that it was corrected by."""
    found = values(settings, topics.validated)
    return {value["event_id"]: (value["occurred_at"], value.get("clock_offset_ms")) for value in found}


async def test_a_sessions_offset_outlives_the_worker_that_decided_it(settings: Settings, topics: Topics) -> None:
    settings = settings.model_copy(update={"session_gap_seconds": 10.0})
    ahead = sent("a", 7190, 7200)
    async with the_work(settings) as (work, _):
        await work.process(await send(settings, [ahead, sent("b", 7195, 7200)]))

    async with the_work(settings) as (successor, _):
        await successor.process(await send(settings, [sent("c", 7196, 0), sent("d", 7197, None)]))

    closing = a_raw_record(an_event(session_id="s-2"), key=b"s-2", event_id="x", received_at=after(60))
    async with the_work(settings) as (successor, _):
        await successor.process(await send(settings, [closing]))
    assert sessions(settings)["s-1"]["status"] == "closed"
    async with the_work(settings) as (successor, _):
        await successor.process(await send(settings, [sent("e", 7198, 61)]))

    found = times(settings, topics)
    assert [found[name] for name in "abcde"] == [
        (f"2021-01-01T09:15:{second}Z", -2 * HOUR_MS) for second in (20, 25, 26, 27, 28)
    ]
    assert found["x"][1] is None
    summary = sessions(settings)["s-1"]
    assert summary["clock_offset_ms"] == -2 * HOUR_MS
    assert (summary["started_at"], summary["ended_at"]) == ("2021-01-01T09:15:20Z", "2021-01-01T09:15:28Z")
    assert "clock_offset_ms" not in sessions(settings)["s-2"]


async def test_an_offset_that_was_not_committed_decides_nothing(settings: Settings, topics: Topics) -> None:
    first = await send(settings, [sent("a", -7200, -7200)])
    async with the_work(settings) as (fenced, _), the_work(settings) as (latter, start):
        with pytest.raises(KafkaError):
            await fenced.process(first)
        await latter.process(first)
        await latter.process(await send(settings, [sent("b", -7199, 0)]))

    assert start == 0
    assert {offset for _, offset in times(settings, topics).values()} == {2 * HOUR_MS}


async def test_a_rejected_event_decides_its_sessions_offset(settings: Settings, topics: Topics) -> None:
    async with the_work(settings) as (work, _):
        await work.process(await send(settings, [sent("a", 7190, 7200, name="dance")]))
    async with the_work(settings) as (successor, _):
        await successor.process(await send(settings, [sent("b", 7191, 7200 - 90)]))

    [rejected] = values(settings, topics.rejected)
    assert (rejected["clock_offset_ms"], times(settings, topics)["b"][1]) == (-2 * HOUR_MS, -2 * HOUR_MS)


async def test_a_session_of_before_is_never_corrected(settings: Settings, topics: Topics) -> None:
    """Its earlier events stand as they were sent."""
    async with the_work(settings) as (work, _):
        await work.process(await send(settings, [sent("a", -7200, None)]))
    async with the_work(settings) as (successor, _):
        await successor.process(await send(settings, [sent("b", -7100, -7100)]))

    assert {offset for _, offset in times(settings, topics).values()} == {None}
