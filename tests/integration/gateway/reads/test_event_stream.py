"""GET /events/stream on a gateway and a stream that run: what comes, from where, and for how slow a reader."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import ClientSession, ClientTimeout

from schemas.settings import Settings
from tests.conftest import KEY
from tests.integration.gateway.test_json_builders import eventually
from tests.support.event_stream import Refused, ServerSentEvent, listening
from tests.support.pipeline import Pipeline, an_event

READERS = 20


@pytest.fixture(scope="module")
def running(shared_settings: Settings) -> Iterator[Pipeline]:
    settings = shared_settings.model_copy(update={"stream_readers": READERS})
    with Pipeline(settings, sinks=0) as pipeline:
        yield pipeline


@pytest.fixture
async def client(running: Pipeline) -> AsyncIterator[ClientSession]:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with ClientSession(running.gateway.url, headers=headers, timeout=ClientTimeout(60)) as made:
        yield made


async def send(running: Pipeline, *events: dict[str, Any]) -> list[str]:
    """Send events; returns their ids."""
    status, _ = await running.post(json.dumps(events).encode())
    assert status == 202
    return [event["event_id"] for event in events]


def ids(events: list[ServerSentEvent]) -> list[str]:
    return [event.data["event_id"] for event in events]


def enough(number: int) -> Any:
    return lambda events: len(events) == number


async def test_a_verdict_is_heard_within_a_second(running: Pipeline, client: ClientSession) -> None:
    seconds = []
    async with listening(client, session_id="live") as stream:
        for _ in range(5):
            before = time.monotonic()
            sent = await send(running, an_event(session_id="live"))
            (heard,) = await stream.read_until(enough(1))
            seconds.append(time.monotonic() - before)
            assert (heard.kind, ids([heard])) == ("accepted", sent)

    assert min(seconds) < 1


async def test_conditions_choose_what_is_heard(running: Pipeline, client: ClientSession) -> None:
    wanted = {"session_id": "chosen", "category": "page interaction", "name": "dance", "verdict": "rejected"}
    async with listening(client, **wanted, application="shop") as stream:
        _, _, event_id = await send(
            running,
            an_event(session_id="another", name="dance"),
            an_event(session_id="chosen"),
            an_event(session_id="chosen", name="dance"),
        )
        (heard,) = await stream.read_until(enough(1))

    assert (heard.kind, heard.data["event_id"]) == ("rejected", event_id)
    assert [error["code"] for error in heard.data["errors"]] == ["unknown_event_type"]


async def test_a_reader_goes_on_after_its_last_event(running: Pipeline, client: ClientSession) -> None:
    sending = asyncio.create_task(_send_many(running, 60, 20))
    heard: list[str] = []
    last_id = ""
    while len(heard) < 60 * 20:
        async with listening(client, last_id, session_id="resumed") as stream:
            heard += ids(await stream.read_until(enough(min(170, 60 * 20 - len(heard)))))
        last_id = stream.last_id

    assert heard == await sending


async def _send_many(running: Pipeline, requests: int, size: int) -> list[str]:
    sent: list[str] = []
    for _ in range(requests):
        sent += await send(running, *(an_event(session_id="resumed") for _ in range(size)))
    return sent


async def test_events_of_a_pause_are_heard_after_it(running: Pipeline, client: ClientSession) -> None:
    async with listening(client, session_id="paused") as stream:
        (first,) = await send(running, an_event(session_id="paused"))
        await stream.read_until(enough(1))
    missed = await send(running, *(an_event(session_id="paused") for _ in range(3)))
    async with listening(client, stream.last_id, session_id="paused") as stream:
        heard = await stream.read_until(enough(3))
        later = await send(running, an_event(session_id="paused"))
        heard += await stream.read_until(enough(1))

    assert ids(heard) == [*missed, *later]
    assert first not in ids(heard)


async def test_a_slow_reader_is_told_of_its_gap(running: Pipeline, client: ClientSession) -> None:
    number = 8_000
    async with listening(client, session_id="flood") as slow, listening(client, session_id="flood") as quick:
        reading = asyncio.create_task(quick.read_until(enough(number), 60))
        filler = {"host": "www.example.com", "path": "/" + "x" * 2_000}
        for _ in range(number // 250):
            await send(running, *(an_event(session_id="flood", data=filler) for _ in range(250)))
        all_of_it = await reading
        (marker,) = await send(running, an_event(session_id="flood"))
        part = await slow.read_until(lambda events: events[-1].kind == "gap" or ids(events[-1:]) == [marker])

    assert {event.kind for event in all_of_it} == {"accepted"}
    assert part[-1].kind == "gap"
    assert len(part) - 1 + part[-1].data["missed"] in (number, number + 1)


async def test_readers_beyond_the_bound_are_refused(client: ClientSession) -> None:
    async with AsyncExitStack() as streams:
        for _ in range(READERS):
            await eventually_listening(streams, client)
        async with client.get("/events/stream") as answer:
            assert (answer.status, (await answer.json())["code"]) == (503, "overloaded")
    async with AsyncExitStack() as streams:
        await eventually_listening(streams, client)


async def eventually_listening(streams: AsyncExitStack, client: ClientSession) -> None:
    """Listen as soon as there is a place: a reader that has gone is noticed within a second."""

    async def is_listening() -> bool:
        try:
            await streams.enter_async_context(listening(client))
        except Refused:
            return False
        return True

    await eventually(is_listening, 10)


@pytest.mark.parametrize(("query", "last_id"), [("verdict=maybe", ""), ("name=x&color=red", ""), ("", "nonsense")])
async def test_a_bad_request_for_a_stream_is_told(client: ClientSession, query: str, last_id: str) -> None:
    async with client.get(f"/events/stream?{query}", headers={"Last-Event-ID": last_id}) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, "bad_parameter")


async def test_open_streams_hold_up_no_stop(settings: Settings) -> None:
    with Pipeline(settings, streams=0, sinks=0) as pipeline:
        async with (
            ClientSession(pipeline.gateway.url, headers={"Authorization": f"Bearer {KEY}"}) as client,
            listening(client) as stream,
        ):
            stopping = asyncio.create_task(asyncio.to_thread(pipeline.gateway.stop, 15))
            assert await stream.read_until(enough(1), 10) == []
            await stopping
        assert pipeline.gateway.exit_code() in (0, None)
