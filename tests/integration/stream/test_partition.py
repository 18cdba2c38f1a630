"""The work on a raw partition, on a real Kafka: once each, in order, and continued by whoever comes after."""

from __future__ import annotations

import json
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from prometheus_client import CollectorRegistry

from schemas.settings import Settings
from schemas.topics import Topics
from stream.runner.chunk import Chunk
from stream.runner.kafka_reader import Lookup
from tests.e2e.reader import read_committed
from tests.integration.stream.raw_partition import ids, send, sessions, the_work, values
from tests.integration.stream.test_checkpoint_live import PARTITION, committed_offset
from tests.support.builders import TRACEPARENT, a_raw_record, an_event


async def test_records_become_verdicts_in_their_own_partition_and_order(
    settings: Settings, topics: Topics, raw: TopicPartition
) -> None:
    chunk = await send(
        settings,
        [
            a_raw_record(event_id="a"),
            a_raw_record(an_event(name="dance"), event_id="b"),
            a_raw_record(event_id="c"),
            a_raw_record(value=b"nope", event_id="d", key=b"s-2"),
        ],
    )

    async with the_work(settings) as (work, start):
        await work.process(chunk)

    assert start == 0
    validated, rejected = read_committed(settings, topics.validated), read_committed(settings, topics.rejected)
    assert {message.partition() for message in validated + rejected} == {PARTITION}
    assert ids(settings, topics.validated) == ["a", "c"]
    assert ids(settings, topics.rejected) == ["b", "d"]
    assert [message.key() for message in validated + rejected] == [b"s-1", b"s-1", b"s-1", None]
    assert await committed_offset(settings) == 4


async def test_a_verdict_carries_the_raw_records_headers_and_its_own(settings: Settings, topics: Topics) -> None:
    chunk = await send(settings, [a_raw_record(event_id="a"), a_raw_record(an_event(name="dance"), event_id="b")])

    async with the_work(settings) as (work, _):
        await work.process(chunk)

    [validated], [rejected] = read_committed(settings, topics.validated), read_committed(settings, topics.rejected)
    common = [("application", b"shop"), ("received_at", b"1609492530000"), ("traceparent", TRACEPARENT)]
    assert validated.headers() == [
        ("event_id", b"a"), *common, ("category", b"page interaction"), ("name", b"pageview"), ("schema_version", b"1"),
        ("source", f"{topics.raw}:{PARTITION}:0".encode()),
    ]  # fmt: skip
    assert rejected.headers() == [
        ("event_id", b"b"), *common, ("source", f"{topics.raw}:{PARTITION}:1".encode()),
        ("codes", b"unknown_event_type"),
    ]  # fmt: skip


async def test_a_record_that_no_gateway_wrote_gets_the_headers_it_lacks(settings: Settings, topics: Topics) -> None:
    chunk = await send(settings, [a_raw_record(headers=[("traceparent", TRACEPARENT)])])

    async with the_work(settings) as (work, _):
        await work.process(chunk)

    [message] = read_committed(settings, topics.validated)
    headers = dict(message.headers())
    event = json.loads(message.value())
    assert headers["event_id"].decode() == event["event_id"]
    assert headers["application"] == b"unknown"
    assert headers["traceparent"] == TRACEPARENT
    assert int(headers["received_at"]) == chunk.records[0].timestamp


async def test_each_session_of_a_chunk_is_published_once_with_its_revision(settings: Settings, topics: Topics) -> None:
    chunk = await send(
        settings,
        [
            a_raw_record(event_id="a"),
            a_raw_record(an_event(session_id="s-2"), key=b"s-2", event_id="b"),
            a_raw_record(an_event(data={}), event_id="c"),
        ],
    )

    async with the_work(settings) as (work, _):
        await work.process(chunk)

    messages = {message.key(): message for message in read_committed(settings, topics.sessions)}
    summary = json.loads(messages[b"s-1"].value())
    assert {key: dict(message.headers()) for key, message in messages.items()} == {
        b"s-1": {"revision": b"2"},
        b"s-2": {"revision": b"1"},
    }
    assert (summary["event_count"], summary["rejected_count"], summary["status"]) == (1, 1, "open")


async def test_an_event_sent_again_counts_once(settings: Settings, topics: Topics) -> None:
    registry = CollectorRegistry()
    async with the_work(settings, registry) as (work, _):
        await work.process(await send(settings, [a_raw_record(event_id="a"), a_raw_record(event_id="a")]))
        await work.process(await send(settings, [a_raw_record(event_id="a"), a_raw_record(event_id="b")]))
        other = a_raw_record(event_id="a", application="blog")
        await work.process(await send(settings, [other]))

    assert ids(settings, topics.validated) == ["a", "b", "a"]
    assert sessions(settings)["s-1"]["event_count"] == 3
    duplicates = registry.get_sample_value("eye_stream_events_total", {"application": "shop", "verdict": "duplicate"})
    assert duplicates == 2


async def test_a_rejected_event_counts_once_and_mended_it_is_accepted(settings: Settings, topics: Topics) -> None:
    bad = a_raw_record(an_event(name="dance"), event_id="a")
    async with the_work(settings) as (work, _):
        await work.process(await send(settings, [bad, bad]))

    async with the_work(settings) as (successor, _):
        await successor.process(await send(settings, [bad, a_raw_record(event_id="a")]))

    assert ids(settings, topics.rejected) == ["a"]
    assert ids(settings, topics.validated) == ["a"]
    assert (sessions(settings)["s-1"]["event_count"], sessions(settings)["s-1"]["rejected_count"]) == (1, 1)


async def test_whatever_a_record_holds_its_partition_goes_on(settings: Settings, topics: Topics) -> None:
    nothing: Any = None
    odd = [
        a_raw_record(value=b"\xff\0", headers=[]),
        a_raw_record(key=None, headers=[]),
        a_raw_record(headers=[("event_id", nothing), ("application", nothing)]),
        a_raw_record(headers=[("received_at", b"253402300799999")], event_id="last"),
        a_raw_record(headers=[("event_id", b"\xff" * 500), ("application", b"\0"), ("received_at", b""), ("x", b"")]),
    ]

    async with the_work(settings) as (work, _):
        await work.process(await send(settings, odd))
        await work.process(await send(settings, [a_raw_record(event_id="a")]))

    assert ids(settings, topics.validated)[-1] == "a"


async def test_a_tombstone_is_a_rejected_event(settings: Settings, topics: Topics, raw: TopicPartition) -> None:
    async with AIOKafkaProducer(**settings.kafka_client()) as producer:
        await producer.send_and_wait(raw.topic, None, b"s-1", raw.partition)
    async with Lookup(settings) as lookup:
        [tombstone] = [record async for record in lookup.read(raw)]

    async with the_work(settings) as (work, _):
        await work.process(Chunk(raw.topic, raw.partition, 0, 1, [tombstone]))

    assert [[error["code"] for error in value["errors"]] for value in values(settings, topics.rejected)] == [
        ["not_json"]
    ]


async def test_a_chunk_without_records_moves_the_position(settings: Settings, raw: TopicPartition) -> None:
    await send(settings, [a_raw_record()])

    async with the_work(settings) as (work, _):
        await work.process(Chunk(raw.topic, raw.partition, 0, 1, []))

    assert await committed_offset(settings) == 1
