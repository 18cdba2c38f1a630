"""Tracing an event: every step with its time, by the command and by HTTP, with a row or before there is one."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from eye.local.stack import environment
from eye.operations.wait_until_stored import wait_until_stored
from schemas.ids import row_id
from schemas.settings import Settings
from schemas.topics import topic_names
from tests.integration.eye.test_command import Ran, run_eye
from tests.support.pipeline import Pipeline, an_event, ndjson


@pytest.fixture(scope="module")
def running(shared_settings: Settings) -> Iterator[Pipeline]:
    """Lend a whole pipeline."""
    with Pipeline(shared_settings) as running:
        yield running


async def command(settings: Settings, *arguments: str) -> Ran:
    return await asyncio.to_thread(run_eye, "trace", *arguments, env=environment(settings))


async def traces(settings: Settings, *arguments: str) -> list[dict[str, Any]]:
    ran = await command(settings, *arguments, "--json")
    assert ran.returncode == 0, ran.stderr
    found: list[dict[str, Any]] = json.loads(ran.stdout)["traces"]
    return found


async def send(pipeline: Pipeline, *events: dict[str, Any]) -> None:
    status, _ = await pipeline.post(ndjson(events), "application/x-ndjson")
    assert status == 202


async def complete(pipeline: Pipeline, path: str) -> dict[str, Any]:
    """Ask over HTTP until the gateway had the time to look at everything: it says when it had not."""
    while True:
        status, answer = await pipeline.get(path)
        if status == 200 and answer["complete"]:
            found: dict[str, Any] = answer
            return found


async def test_each_step_of_stored_and_rejected_events_has_its_time(running: Pipeline) -> None:
    good, bad, own = an_event(), an_event(data={}), an_event(event_id="order 1/ä")
    settings, topics = running.settings, topic_names(running.settings)
    await send(running, good, bad, own)
    await wait_until_stored(settings)

    [stored] = await traces(settings, good["event_id"])
    [rejected] = await traces(settings, bad["event_id"].upper())
    [named] = await traces(settings, "order 1/ä")
    by_row = await traces(settings, str(row_id("shop", "order 1/ä")))
    over_http = await complete(running, "/events/order%201%2F%C3%A4/trace")
    told = await command(settings, good["event_id"])

    assert (stored["status"], stored["verdict"], stored["application"]) == ("stored", "accepted", "shop")
    assert (stored["raw"]["topic"], stored["judged"]["topic"]) == (topics.raw, topics.validated)
    assert stored["row"]["table"] == "events"
    times = [stored["received_at"], stored["judged"]["written_at"], stored["row"]["stored_at"]]
    assert times == sorted(times)
    assert stored["raw"]["written_at"]
    assert (rejected["status"], rejected["judged"]["topic"]) == ("rejected", topics.rejected)
    assert "missing_field" in rejected["codes"]
    assert rejected["row"]["table"] == "rejected_events"
    assert by_row == [named]
    assert over_http == {"traces": [named], "complete": True}
    assert all(word in told.stdout for word in ("raw", "accepted", f"{topics.validated}:", "eye.events"))


async def test_an_event_without_a_row_is_found_where_it_is(settings: Settings) -> None:
    event = an_event()
    with Pipeline(settings, streams=0, sinks=0) as pipeline:
        await send(pipeline, event)
        [received] = await traces(settings, event["event_id"])
        over_http = await complete(pipeline, f"/events/{event['event_id']}/trace")
        pipeline.streams.append(pipeline.make("stream"))
        pipeline.streams[0].start()
        [judged] = await traces(settings, event["event_id"])
        while judged["status"] != "judged":
            [judged] = await traces(settings, event["event_id"])

    assert (received["status"], received["verdict"], received["row"]) == ("received", None, None)
    assert received["raw"]["written_at"]
    assert over_http["traces"] == [received]
    assert judged["raw"] == received["raw"]
    assert (judged["verdict"], judged["judged"]["topic"]) == ("accepted", topic_names(settings).validated)


async def produce(settings: Settings, event_id: str) -> None:
    """Write an event of two applications to the raw topic, under two ids."""
    producer = AIOKafkaProducer(**settings.kafka_client())
    await producer.start()
    for application in ("shop", "till"):
        for name in (event_id, "order-1"):
            value = json.dumps(an_event(event_id=name)).encode()
            headers = [("event_id", name.encode()), ("application", application.encode())]
            await producer.send_and_wait(topic_names(settings).raw, value, key=b"s-1", headers=headers)
    await producer.stop()


async def test_every_application_that_used_an_id_is_shown(settings: Settings, running: Pipeline) -> None:
    event_id = str(uuid.uuid4())
    await produce(settings, event_id)
    await produce(running.settings, event_id)
    await wait_until_stored(running.settings)

    before = [await traces(settings, name) for name in (event_id, "order-1")]
    after = [
        await traces(running.settings, event_id),
        await traces(running.settings, "order-1", "--application", "till"),
    ]

    for found in (*before, *after):
        assert [trace["application"] for trace in found] == ["shop", "till"]
    assert {trace["status"] for found in before for trace in found} == {"received"}
    assert {trace["status"] for found in after for trace in found} == {"stored"}


async def test_an_unknown_event_is_told_to_be_so(settings: Settings) -> None:
    with Pipeline(settings, streams=0, sinks=0) as pipeline:
        await send(pipeline, an_event(event_id="too-old"))
        unknown = str(uuid.uuid4())
        ran = await command(settings, unknown)
        status, problem = await pipeline.get(f"/events/{unknown}/trace")
        later, _ = await pipeline.get("/events/too-old/trace?since=2100-01-01T00:00:00Z")
        wrong, _ = await pipeline.get("/events/too-old/trace?until=now")

    assert (ran.returncode, ran.stderr.startswith(f"eye: no event {unknown}")) == (1, True)
    assert (status, problem["code"]) == (404, "not_found")
    assert (later, wrong) == (404, 400)


@pytest.mark.parametrize(
    "changes", [{"EYE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}, {"EYE_POSTGRES_DSN": "host=127.0.0.1 port=1"}]
)
async def test_who_is_away_is_told_in_a_sentence(settings: Settings, changes: dict[str, str]) -> None:
    ran = await asyncio.to_thread(run_eye, "trace", "e-1", env=environment(settings) | changes)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert any(line.startswith("eye: ") for line in ran.stderr.splitlines())
    assert "Traceback" not in ran.stderr
