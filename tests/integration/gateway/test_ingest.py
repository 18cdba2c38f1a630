"""POST: what is answered with 2xx stands in Kafka, as sent; what is not, says why."""

from __future__ import annotations

import asyncio
import re
import time
import uuid

import pytest
from aiokafka.partitioner import DefaultPartitioner

from schemas.settings import Settings
from tests.integration.gateway.test_json_builders import a_gateway, an_event, patient, post, records_of

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Return a deployment of the test's own, without a limit on how long this machine may take."""
    return patient(settings)


async def test_an_accepted_event_stands_in_kafka_as_sent(settings: Settings) -> None:
    body = b' {"session_id" : "s-\xc3\xbc", "event_id":"mine", "timestamp": "x", "n":1.50 }\n'
    before = time.time()

    async with a_gateway(settings) as client:
        status, answer = await post(client, body, traceparent=TRACE)

    (record,) = await records_of(settings, 1)
    assert status == 202
    assert answer == {"accepted": 1, "rejected": 0, "results": [{"index": 0, "event_id": "mine", "status": "ok"}]}
    assert record.value == body.strip()
    assert record.key == "s-ü".encode()
    assert record.partition == DefaultPartitioner()(record.key, list(range(settings.partitions)), None)
    assert [name for name, _ in record.headers] == ["event_id", "application", "received_at", "traceparent"]
    headers = dict(record.headers)
    assert (headers["event_id"], headers["application"], headers["traceparent"]) == (b"mine", b"shop", TRACE.encode())
    assert before - 1 < int(headers["received_at"]) / 1000 < time.time() + 1
    assert record.timestamp == int(headers["received_at"])


async def test_an_event_without_an_id_is_given_a_uuid_of_version_7(settings: Settings) -> None:
    async with a_gateway(settings) as client:
        _, answer = await post(client, [an_event(), an_event(event_id=None)])

    ids = [result["event_id"] for result in answer["results"]]
    records = await records_of(settings, 2)
    assert {dict(record.headers)["event_id"].decode() for record in records} == set(ids)
    assert [uuid.UUID(event_id).version for event_id in ids] == [7, 7]


@pytest.mark.parametrize("sent", ["", "nonsense", TRACE.upper(), f"01{TRACE[2:]}", f"00-{'0' * 32}{TRACE[35:]}"])
async def test_a_missing_or_bad_traceparent_is_replaced(settings: Settings, sent: str) -> None:
    async with a_gateway(settings) as client:
        await post(client, [an_event(), an_event()], traceparent=sent)

    traces = {dict(record.headers)["traceparent"].decode() for record in await records_of(settings, 2)}
    assert len(traces) == 1
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", traces.pop())


async def test_each_event_of_a_batch_has_its_own_verdict(settings: Settings) -> None:
    batch = [an_event(), 5, an_event(session_id=""), an_event(data="x" * 70_000, event_id="large"), an_event(name="?")]

    async with a_gateway(settings) as client:
        status, answer = await post(client, batch)

    assert status == 202
    assert (answer["accepted"], answer["rejected"]) == (2, 3)
    assert [result["status"] for result in answer["results"]] == ["ok", "invalid", "invalid", "too_large", "ok"]
    assert [result["index"] for result in answer["results"]] == [0, 1, 2, 3, 4]
    assert answer["results"][1] == {
        "index": 1,
        "status": "invalid",
        "errors": [{"code": "not_an_object", "path": "$", "message": "an event is a JSON object"}],
    }
    assert answer["results"][3]["event_id"] == "large"
    assert len(await records_of(settings, 2)) == 2


async def test_events_of_a_session_keep_their_order(settings: Settings) -> None:
    sessions = ["s-1", "s-2", "s-3"]
    events = [an_event(session_id=sessions[number % 3], event_id=str(number)) for number in range(3_000)]

    async with a_gateway(settings) as client:
        for start in range(0, 3_000, 1_000):
            status, answer = await post(client, events[start : start + 1_000])
            assert (status, answer["accepted"]) == (202, 1_000)

    records = await records_of(settings, 3_000)
    for session in sessions:
        mine = [int(dict(record.headers)["event_id"]) for record in records if record.key == session.encode()]
        assert mine == sorted(mine)
        assert len(mine) == 1_000


async def test_requests_at_the_same_time_share_batches(settings: Settings) -> None:
    async with a_gateway(settings) as client:
        answers = await asyncio.gather(*(post(client, an_event(session_id="s")) for _ in range(200)))
        metrics = await (await client.get("/metrics")).text()

    assert {status for status, _ in answers} == {202}
    await records_of(settings, 200)
    batches = re.search(r"eye_gateway_batch_records_count (\d+)", metrics)
    assert batches is not None
    assert int(batches[1]) < 150


async def test_strict_handling_applies_every_rule_at_the_door(settings: Settings) -> None:
    batch = [an_event(), an_event(name="dance"), an_event(data={"host": 1}), an_event(timestamp="2999-01-01T00:00:00Z")]

    async with (
        a_gateway(settings) as client,
        client.post("/events", json=batch, headers={"Prefer": "respond-async, handling=strict"}) as response,
    ):
        answer = await response.json()

    assert response.status == 202
    assert response.headers["Preference-Applied"] == "handling=strict"
    assert [[error["code"] for error in result.get("errors", [])] for result in answer["results"]] == [
        [],
        ["unknown_event_type"],
        ["wrong_type", "missing_field"],
        ["future_timestamp"],
    ]
    await records_of(settings, 1)


async def test_validation_lists_every_violation_and_stores_nothing(settings: Settings) -> None:
    batch = [an_event(), {"name": 5, "data": {}}, "x", an_event(data="x" * 70_000)]

    async with a_gateway(settings) as client, client.post("/events/validate", json=batch) as response:
        answer = await response.json()

    assert response.status == 200
    assert (answer["accepted"], answer["rejected"]) == (1, 3)
    assert [result["status"] for result in answer["results"]] == ["ok", "invalid", "invalid", "too_large"]
    assert {error["path"] for error in answer["results"][1]["errors"]} == {
        "$.session_id", "$.category", "$.name", "$.timestamp",
    }  # fmt: skip
    await records_of(settings, 0)


async def test_a_client_that_goes_away_disturbs_nobody(settings: Settings) -> None:
    async with a_gateway(settings) as client:
        host, port = str(client._base_url.host), client._base_url.port  # type: ignore[union-attr]
        _, writer = await asyncio.open_connection(host, port)
        writer.write(b"POST /events HTTP/1.1\r\nHost: x\r\nX-API-Key: test-key\r\nContent-Length: 100\r\n\r\n{")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

        status, _ = await post(client, an_event())

    assert status == 202


async def test_unknown_paths_and_methods_are_problems(settings: Settings) -> None:
    async with a_gateway(settings) as client:
        async with client.get("/nothing") as answer:
            assert (answer.status, (await answer.json())["code"]) == (404, "not_found")
        async with client.delete("/events") as answer:
            assert (answer.status, (await answer.json())["code"]) == (405, "method_not_allowed")
            assert set(answer.headers["Allow"].split(",")) == {"GET", "HEAD", "POST"}


async def test_a_retry_with_the_same_idempotency_key_has_the_same_ids(settings: Settings) -> None:
    body = [an_event(), an_event(event_id="mine"), an_event()]

    async with a_gateway(settings) as client:
        answers = [await post(client, body, Idempotency_Key=key) for key in ("order 17", "order 17", "order 18")]
        refused = [(await post(client, body, Idempotency_Key=key))[0] for key in ("", "k" * 129)]

    first, again, other = ([result["event_id"] for result in answer["results"]] for _, answer in answers)
    assert first == again
    assert first[1] == other[1] == "mine"
    assert len({first[0], first[2], other[0], other[2]}) == 4
    assert [uuid.UUID(event_id).version for event_id in (first[0], first[2])] == [5, 5]
    assert refused == [400, 400]
