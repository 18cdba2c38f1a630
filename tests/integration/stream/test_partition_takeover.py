"""The work on a raw partition, taken over: its successor goes on where it ended."""

from __future__ import annotations

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from schemas.settings import Settings
from schemas.topics import Topics
from stream.checkpoint import Checkpoint
from stream.runner.positions import PositionLost
from tests.e2e.reader import read_committed
from tests.integration.stream.raw_partition import ids, send, sessions, the_work
from tests.integration.stream.test_checkpoint_live import PARTITION
from tests.support.builders import a_raw_record, after, an_event


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
