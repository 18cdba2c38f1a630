"""Hostile records do not stop a partition; a record that the broker refuses is tried until it is taken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from faust.types import TP
from prometheus_client import CollectorRegistry

from schemas.settings import Settings
from schemas.topics import topic_names
from stream.metrics import StreamMetrics
from stream.partition import StreamPartition
from stream.runner.chunk import Chunk
from stream.runner.flow_control import FlowControl
from stream.runner.partitions import Partitions
from stream.runner.work import BatchRefused, RecordRefused
from tests.faults.drills.limits import limit_records
from tests.integration.stream.raw_partition import ids, send, the_work, values
from tests.integration.stream.test_checkpoint_live import PARTITION, committed_offset
from tests.support.builders import TRACEPARENT, a_raw_record, an_event

MOODY = '''
from schemas.payload import Payload


class Moody(Payload, category="test", name="moody"):
    """A type with a bug in its rules."""

    mood: str

    def model_post_init(self, _: object) -> None:
        raise RuntimeError("can't stand " + self.mood)
'''


async def test_a_rule_that_raises_costs_its_own_events_and_is_counted(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "moody.py").write_text(MOODY)
    settings = settings.model_copy(update={"event_types": ["schemas.event_types", str(tmp_path)]})
    registry = CollectorRegistry()
    moody = a_raw_record(an_event(category="test", name="moody", data={"mood": "blue"}), event_id="moody")

    async with the_work(settings, registry) as (work, _):
        await work.process(await send(settings, [a_raw_record(event_id="a"), moody, a_raw_record(event_id="b")]))

    topics = topic_names(settings)
    assert ids(settings, topics.validated) == ["a", "b"]
    [rejected] = values(settings, topics.rejected)
    assert (rejected["event_id"], [error["code"] for error in rejected["errors"]]) == ("moody", ["validator_error"])
    labels = {"application": "shop", "code": "validator_error"}
    assert registry.get_sample_value("eye_stream_violations_total", labels) == 1


async def test_headers_of_any_size_get_a_verdict_that_can_be_written(settings: Settings) -> None:
    long, received_at = b"x" * 900_000, ("received_at", b"1700000000000")
    odd = [
        a_raw_record(headers=[("event_id", b"a"), ("application", long), received_at, ("traceparent", b"t")]),
        a_raw_record(headers=[("event_id", b"b"), ("traceparent", long)]),
        a_raw_record(value=b"\xff" * 100_000, headers=[("event_id", long[:800_000]), *[("x", b"")] * 3]),
        a_raw_record(event_id="c", headers=[("event_id", b"c"), ("traceparent", TRACEPARENT)]),
    ]

    async with the_work(settings) as (work, _):
        for record in odd:
            await work.process(await send(settings, [record]))

    assert ids(settings, topic_names(settings).validated) == ["a", "b", "c"]
    assert len(ids(settings, topic_names(settings).rejected)) == 1


async def test_a_refused_record_is_named_and_waits_until_it_is_taken(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    topics = topic_names(settings)
    large = an_event(data={"host": "h", "path": "x" * 20_000})
    records = [a_raw_record(large if number == 2 else None, event_id=f"e-{number}") for number in range(5)]
    chunk = await send(settings, records)
    limit_records(settings, topics.validated, 10_000)
    reading = FlowControl()
    partitions = Partitions(reading, lambda topic, partition: a_partition(settings))
    tp = TP(topics.raw, PARTITION)
    partitions.start([tp])

    await until(lambda: "the record at offset 2 keeps failing" in caplog.text, reading, partitions, chunk)
    assert partitions.status()[tp].position == 2
    assert f"{topics.validated} takes no record of 20," in (partitions.status()[tp].error or "")
    assert "raise its max.message.bytes (10,000)" in (partitions.status()[tp].error or "")
    assert (partitions.status()[tp].refused or RecordRefused("", 0, 0)).topic == topics.validated
    limit_records(settings, topics.validated, 1_000_000)
    await until(lambda: partitions.status()[tp].position == 5, reading, partitions, chunk)
    await partitions.stop()

    assert ids(settings, topics.validated) == [f"e-{number}" for number in range(5)]


async def test_small_records_whose_batch_is_too_large_go_through_at_once(settings: Settings) -> None:
    topics = topic_names(settings)
    chunk = await send(settings, [a_raw_record(event_id=f"e-{number}") for number in range(300)])
    for topic in (topics.validated, topics.sessions):
        limit_records(settings, topic, 10_000)

    async with the_work(settings) as (work, _):
        await work.process(chunk)

    assert ids(settings, topics.validated) == [f"e-{number}" for number in range(300)]


async def test_a_limit_lowered_under_way_costs_one_more_attempt(settings: Settings) -> None:
    topics = topic_names(settings)
    chunk = await send(settings, [a_raw_record(event_id=f"e-{number}") for number in range(300)])

    async with the_work(settings) as (work, _):
        limit_records(settings, topics.validated, 10_000)
        with pytest.raises(BatchRefused):
            await work.process(chunk)
        await work.close()
        await work.open()
        await work.process(chunk)

    assert ids(settings, topics.validated) == [f"e-{number}" for number in range(300)]


def a_partition(settings: Settings) -> StreamPartition:
    async def committed(raw: TopicPartition) -> int | None:
        return await committed_offset(settings, raw.partition)

    raw = TopicPartition(topic_names(settings).raw, PARTITION)
    return StreamPartition(settings, settings.rules(), StreamMetrics(CollectorRegistry()), raw, committed)


async def until(condition: Callable[[], bool], reading: FlowControl, partitions: Partitions, chunk: Chunk) -> None:
    """Wait for a condition; hands over what of the chunk is asked for, as the consumer would."""
    async with asyncio.timeout(120):
        while not condition():
            for tp, offset in reading.take_seeks().items():
                reading.sought(tp, offset)
                if offset < chunk.next_offset:
                    reading.advance(tp, chunk.next_offset)
                    partitions.deliver(replace(chunk, start=offset, records=chunk.records[offset - chunk.start :]))
            await reading.wait_for_change(0.05)
