"""The work on a raw partition, on a real Kafka: once each, in order, and continued by whoever comes after."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from schemas.record import RawRecord, Record
from schemas.settings import Settings
from schemas.topics import Topics, topic_names
from stream.checkpoint import Checkpoint
from stream.metrics import StreamMetrics
from stream.partition import StreamPartition
from stream.runner.chunk import Chunk
from stream.runner.kafka_reader import Lookup
from stream.runner.positions import PositionLost
from tests.e2e.reader import read_committed
from tests.integration.stream.test_checkpoint_live import PARTITION, committed_offset
from tests.support.builders import TRACEPARENT, a_raw_record, after, an_event


@pytest.fixture
def topics(settings: Settings) -> Topics:
    return topic_names(settings)


@pytest.fixture
def raw(topics: Topics) -> TopicPartition:
    return TopicPartition(topics.raw, PARTITION)


@asynccontextmanager
async def the_work(
    settings: Settings, registry: CollectorRegistry | None = None
) -> AsyncIterator[tuple[StreamPartition, int]]:
    """Open a new owner's work on the partition; return it and the offset it goes on from."""

    async def committed(raw: TopicPartition) -> int | None:
        return await committed_offset(settings, raw.partition)

    raw = TopicPartition(topic_names(settings).raw, PARTITION)
    metrics = StreamMetrics(registry or CollectorRegistry())
    work = StreamPartition(settings, settings.rules(), metrics, raw, committed)
    try:
        yield work, await work.open()
    finally:
        await work.close()


async def send(settings: Settings, records: Sequence[Record]) -> Chunk:
    """Write raw records as the gateway does; returns them as a worker gets them."""
    raw = TopicPartition(topic_names(settings).raw, PARTITION)
    async with AIOKafkaProducer(**settings.kafka_client()) as producer:
        sent = [
            await producer.send_and_wait(raw.topic, r.value, r.key, raw.partition, headers=r.headers) for r in records
        ]
    async with Lookup(settings) as lookup:
        found: list[RawRecord] = [record async for record in lookup.read(raw, offset=sent[0].offset)]
    return Chunk(raw.topic, raw.partition, sent[0].offset, sent[-1].offset + 1, found)


def values(settings: Settings, topic: str) -> list[Any]:
    return [json.loads(message.value()) for message in read_committed(settings, topic)]


def ids(settings: Settings, topic: str) -> list[str]:
    return [value["event_id"] for value in values(settings, topic)]


def sessions(settings: Settings) -> dict[str, Any]:
    """Return the last summary of each session."""
    return {value["session_id"]: value for value in values(settings, topic_names(settings).sessions)}


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


async def test_who_comes_after_goes_on_where_the_former_ended(settings: Settings, topics: Topics) -> None:
    async with the_work(settings) as (work, _):
        await work.process(await send(settings, [a_raw_record(event_id="a"), a_raw_record(event_id="b")]))
        await work.process(await send(settings, [a_raw_record(event_id="c")]))

    registry = CollectorRegistry()
    async with the_work(settings, registry) as (successor, start):
        again = [a_raw_record(event_id="a"), a_raw_record(event_id="c"), a_raw_record(event_id="d")]
        await successor.process(await send(settings, again))

    assert start == 3
    labels = {"application": "shop", "verdict": "duplicate"}
    assert registry.get_sample_value("eye_stream_events_total", labels) == 2
    assert ids(settings, topics.validated) == ["a", "b", "c", "d"]
    summary = sessions(settings)["s-1"]
    assert (summary["event_count"], summary["revision"], summary["first_event_id"]) == (4, 4, "a")


async def test_a_session_that_was_closed_is_opened_again_by_a_successor(settings: Settings) -> None:
    settings = settings.model_copy(update={"session_gap_seconds": 10.0})
    later = a_raw_record(an_event(session_id="s-2"), key=b"s-2", event_id="b", received_at=after(11))
    async with the_work(settings) as (work, _):
        await work.process(await send(settings, [a_raw_record(event_id="a"), later]))
    assert sessions(settings)["s-1"]["status"] == "closed"

    async with the_work(settings) as (successor, _):
        await successor.process(await send(settings, [a_raw_record(event_id="c", received_at=after(12))]))

    summary = sessions(settings)["s-1"]
    assert (summary["status"], summary["revision"], summary["event_count"]) == ("open", 3, 2)


async def test_the_same_chunk_is_never_committed_twice(settings: Settings, topics: Topics) -> None:
    chunk = await send(settings, [a_raw_record(event_id="a")])
    async with the_work(settings) as (former, _), the_work(settings) as (latter, start):
        await latter.process(chunk)

        with pytest.raises(KafkaError):
            await former.process(chunk)
        await former.close()
        assert (start, await former.open()) == (0, 1)

    assert ids(settings, topics.validated) == ["a"]
    assert sessions(settings)["s-1"]["revision"] == 1


async def test_a_first_chunk_that_was_cut_off_is_done_by_the_successor(
    settings: Settings, topics: Topics, raw: TopicPartition
) -> None:
    """Kafka keeps offsets for the records of a transaction that came to nothing, too: they are no results."""
    chunk = await send(settings, [a_raw_record(event_id="a")])
    killed = Checkpoint(settings, settings.stream_group, raw, [topics.validated])
    await killed.open()
    with pytest.raises(RuntimeError):
        async with killed.transaction(1) as transaction:
            await transaction.write(topics.validated, [(b"s-1", b"{}", [])])
            await transaction.delivered()
            raise RuntimeError
    await killed.close()

    async with the_work(settings) as (work, start):
        await work.process(chunk)

    assert start == 0
    assert ids(settings, topics.validated) == ["a"]


async def test_results_without_a_committed_offset_are_not_doubled(settings: Settings, topics: Topics) -> None:
    """The group's offsets were deleted, or have expired, while the topics were kept."""
    async with the_work(settings) as (work, _):
        await work.process(await send(settings, [a_raw_record(event_id="a")]))

    with pytest.raises(PositionLost, match=r"there are results, but no committed offset"):
        async with the_work(settings.model_copy(update={"group": f"{settings.group}new-"})):
            pass


async def test_an_uncommitted_chunk_leaves_no_trace(settings: Settings, topics: Topics) -> None:
    chunk = await send(settings, [a_raw_record(event_id="a"), a_raw_record(event_id="a")])
    async with the_work(settings) as (former, _), the_work(settings) as (_, _):
        with pytest.raises(KafkaError):
            await former.process(chunk)
        await former.close()

        start = await former.open()
        await former.process(chunk)

    assert start == 0
    assert ids(settings, topics.validated) == ["a"]
    assert sessions(settings)["s-1"]["event_count"] == 1


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


async def test_a_position_beyond_the_end_is_refused_with_what_to_do(
    settings: Settings, topics: Topics, raw: TopicPartition
) -> None:
    """The topics were deleted and made anew under a group that had read them."""
    checkpoint = Checkpoint(settings, settings.stream_group, raw, [topics.validated])
    await checkpoint.open()
    async with checkpoint.transaction(5):
        pass
    await checkpoint.close()

    with pytest.raises(PositionLost, match=r"the position is 5, but the partition ends at 0; .* reset"):
        async with the_work(settings):
            pass


async def test_what_a_replay_has_published_is_no_duplicate_of_what_comes(settings: Settings, topics: Topics) -> None:
    first = await send(settings, [a_raw_record(event_id="a")])
    async with the_work(settings) as (work, _):
        await work.process(first)
    [published] = read_committed(settings, topics.validated)
    headers = [*published.headers(), ("replay", b"20261122-174312-3f9a")]
    value = published.value().replace(b'"a"', b'"b"')
    async with AIOKafkaProducer(**settings.kafka_client()) as producer:
        await producer.send_and_wait(topics.validated, value, published.key(), PARTITION, headers=headers)

    again = await send(settings, [a_raw_record(event_id="a"), a_raw_record(event_id="b")])
    async with the_work(settings) as (work, _):
        await work.process(again)

    assert ids(settings, topics.validated) == ["a", "b", "b"]
    assert sessions(settings)["s-1"]["event_count"] == 2
