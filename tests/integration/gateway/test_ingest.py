"""POST: what is answered with 2xx stands in Kafka, as sent; what is not, says why."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import resource
import time
import uuid
import zlib
from typing import Any

import brotli
import pytest
import zstandard
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


async def test_every_form_of_body_is_taken(settings: Settings) -> None:
    one, two = json.dumps(an_event()).encode(), json.dumps(an_event(), indent=1).encode()
    line = json.dumps(an_event()).encode()
    array = b"[%s,\n%s]" % (one, two)
    bodies: list[tuple[bytes, dict[str, str]]] = [
        (one, {}),
        (array, {}),
        (b'{"events": %s, "sent_at": "2021-01-01"}' % array, {}),
        (b"%s\n\n%s\r\n" % (one, line), {"Content_Type": "application/x-ndjson"}),
        (line, {"Content_Type": "application/ndjson; charset=utf-8"}),
        (one, {"Content_Type": "text/plain;charset=UTF-8"}),
        (one, {"Content_Type": "application/octet-stream"}),
        (gzip.compress(array), {"Content_Encoding": "gzip"}),
        (zlib.compress(array), {"Content_Encoding": "deflate"}),
        (zlib.compress(array)[2:-4], {"Content_Encoding": "deflate"}),
        (zstandard.compress(array), {"Content_Encoding": "zstd"}),
        (brotli.compress(array), {"Content_Encoding": "br"}),
        (zstandard.compress(gzip.compress(array)), {"Content_Encoding": "gzip, zstd"}),
        (array, {"Content_Type": "application/vnd.shop.events+json"}),
    ]

    async with a_gateway(settings) as client:
        answers = [await post(client, body, **headers) for body, headers in bodies]

    assert [status for status, _ in answers] == [202] * len(bodies)
    assert [answer["accepted"] for _, answer in answers] == [1, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2]
    values = [record.value for record in await records_of(settings, 24)]
    assert (values.count(one), values.count(two), values.count(line)) == (13, 9, 2)


async def test_a_body_without_a_content_type_is_json(settings: Settings) -> None:
    async with (
        a_gateway(settings) as client,
        client.post("/events", data=json.dumps(an_event()), skip_auto_headers=["Content-Type"]) as answer,
    ):
        assert answer.status == 202


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


async def test_a_request_larger_than_a_kafka_batch_is_taken_whole(settings: Settings) -> None:
    events = [an_event(session_id="s", data={"x": "x" * 60_000}) for _ in range(80)]

    async with a_gateway(settings) as client:
        status, answer = await post(client, events)

    assert (status, answer["accepted"]) == (202, 80)
    assert [json.loads(record.value) for record in await records_of(settings, 80)] == events


async def test_requests_at_the_same_time_share_batches(settings: Settings) -> None:
    async with a_gateway(settings) as client:
        answers = await asyncio.gather(*(post(client, an_event(session_id="s")) for _ in range(200)))
        metrics = await (await client.get("/metrics")).text()

    assert {status for status, _ in answers} == {202}
    await records_of(settings, 200)
    batches = re.search(r"eye_gateway_batch_records_count (\d+)", metrics)
    assert batches is not None
    assert int(batches[1]) < 150


LARGE = an_event(data="x" * 70_000)

REFUSED: list[tuple[Any, dict[str, str], int, str]] = [
    (b"", {}, 400, "not_json"),
    (b"no json", {}, 400, "not_json"),
    (b'{"session_id": "s"', {}, 400, "not_json"),
    (b"\x00\x01", {}, 400, "not_json"),
    (b"not compressed", {"Content_Encoding": "gzip"}, 400, "bad_encoding"),
    (gzip.compress(b"[]")[:-4], {"Content_Encoding": "gzip"}, 400, "bad_encoding"),
    (b"\x28\xb5\x2f\xfd\xff", {"Content_Encoding": "zstd"}, 400, "bad_encoding"),
    (b"[]", {"Content_Encoding": "compress"}, 415, "unsupported_encoding"),
    (b"[]", {"Content_Encoding": "gzip, compress"}, 415, "unsupported_encoding"),
    (b"<a/>", {"Content_Type": "application/xml"}, 415, "unsupported_media_type"),
    (b"a=b", {"Content_Type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
    (b"[" + b" " * 5 * 1024 * 1024 + b"]", {}, 413, "too_large"),
    (gzip.compress(b" " * 6 * 1024 * 1024), {"Content_Encoding": "gzip"}, 413, "too_large"),
    ([5] * 5_001, {}, 413, "too_many_events"),
    (b"5\n" * 5_001, {"Content_Type": "application/x-ndjson"}, 413, "too_many_events"),
    (LARGE, {}, 413, "too_large"),
    ([], {}, 422, "no_acceptable_event"),
    ({"events": []}, {}, 422, "no_acceptable_event"),
    (b"\n", {"Content_Type": "application/x-ndjson"}, 422, "no_acceptable_event"),
    (5, {}, 422, "no_acceptable_event"),
    ({}, {}, 422, "no_acceptable_event"),
    ([an_event(session_id=1), LARGE], {}, 422, "no_acceptable_event"),
    (an_event(name="dance"), {"Prefer": "handling=strict"}, 422, "no_acceptable_event"),
]


async def test_a_refused_request_says_why_and_stores_nothing(settings: Settings) -> None:
    async with a_gateway(settings) as client:
        for body, headers, status, code in REFUSED:
            answered, problem = await post(client, body, **headers)
            assert (answered, problem["code"], problem["status"]) == (status, code, status)
            assert {"type", "title", "status", "detail", "code"} <= problem.keys()
            assert ("results" in problem) == (status == 422 or body is LARGE)
        async with client.post("/events", data=b"no json") as answer:
            assert answer.content_type == "application/problem+json"

    await records_of(settings, 0)


async def test_a_body_of_chunks_is_bounded_too(settings: Settings) -> None:
    async def chunks() -> Any:
        for _ in range(60):
            yield b" " * 100_000

    async with a_gateway(settings) as client, client.post("/events", data=chunks()) as answer:
        assert answer.status == 413


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


def repeated_zeros() -> bytes:
    """Return gzip of 1 GiB in about 1 MiB, made of a part that is repeated; its end is never reached."""
    part, deflate = bytes(16 * 1024 * 1024), zlib.compressobj(wbits=31)
    start = deflate.compress(part) + deflate.flush(zlib.Z_FULL_FLUSH)
    return start + (deflate.compress(part) + deflate.flush(zlib.Z_FULL_FLUSH)) * 63


async def test_a_bomb_costs_an_answer_and_no_memory(settings: Settings) -> None:
    bomb = repeated_zeros()
    zstd_bomb = zstandard.compress(bytes(16 * 1024 * 1024)) * 64

    async with a_gateway(settings) as client:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        statuses = [(await post(client, bomb, Content_Encoding="gzip"))[0] for _ in range(3)]
        statuses += [(await post(client, zstd_bomb, Content_Encoding="zstd"))[0] for _ in range(3)]
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    assert len(bomb) < 1.5 * 1024 * 1024
    assert statuses == [413] * 6
    assert grown < 50 * 1024  # in KiB


NASTY = [
    b'{"session_id": "s", "data": NaN}',
    b'{"session_id": "s", "data": "\\u0000"}',
    b'{"session_id": "s", "data": "\\ud800"}',
    b'{"session_id": "s", "data": 1180591620717411303424}',
    b'{"session_id": "s", "data": -Infinity}',
    b'{"session_id": "s", "data": "\xff\xfe"}',
    b'{"session_id": "s", "data": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    b'{"session_id": "s", "data": ' + b"9" * 5_000 + b"}",
    b'{"session_id": "s", "session_id": "t"}',
    b'\xef\xbb\xbf{"session_id": "s"}',
    b'{"session_id": "\\ud800"}',
    b'{"session_id": "\\u0000"}',
    b'{"session_id": "s", "event_id": "\\udfff"}',
    b'{"session_id": {"a": [' + b"[" * 5_000,
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'"' * 100_000,
    b"nul",
    b"[[[]]]",
    b"-",
    b"1e999999999999",
    b"\xff" * 1_000,
    b"\x1f\x8b" * 1_000,
]


async def test_no_body_is_a_server_error(settings: Settings) -> None:
    strict = {"Prefer": "handling=strict"}

    async with a_gateway(settings) as client:
        for body in NASTY:
            for form in (body, b"[%s]" % body, b'{"events": [%s, 5]}' % body):
                for headers in ({}, strict, {"Content_Type": "application/x-ndjson"}, {"Content_Encoding": "gzip"}):
                    status, _ = await post(client, form, **headers)
                    assert status in (202, 400, 422)
            async with client.post("/events/validate", data=body) as answer:
                assert answer.status in (200, 400)


async def test_odd_values_reach_kafka_byte_for_byte(settings: Settings) -> None:
    async with a_gateway(settings) as client:
        status, answer = await post(client, b"[%s]" % b",".join(NASTY[:9]))

    assert (status, answer["accepted"]) == (202, 9)
    assert sorted(record.value for record in await records_of(settings, 9)) == sorted(NASTY[:9])


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
