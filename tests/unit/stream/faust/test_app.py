"""The app of Faust: its consumer, its topics, and the options of its clients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiokafka
import faust
import pytest
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from schemas.settings import Settings
from stream.checkpoint import Checkpoint
from stream.faust.app import ChunkApp
from stream.faust.consumer import ChunkConsumer, ChunkConsumerThread


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(kafka_bootstrap_servers="127.0.0.1:1", data_dir=tmp_path)


@asynccontextmanager
async def an_app(settings: Settings, *, read_committed: bool = True) -> AsyncIterator[ChunkApp]:
    """Make an app that is never started; close the event loop of its consumer's thread in the end."""
    app = ChunkApp(settings, group="g", instance="i", read_committed=read_committed)
    yield app
    app.chunk_consumer._thread.thread_loop.close()


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[ChunkApp]:
    async with an_app(settings) as app:
        yield app


async def test_an_app_gets_our_consumer_with_all_that_it_uses(app: ChunkApp) -> None:
    consumer = app.chunk_consumer

    assert isinstance(consumer, ChunkConsumer)
    assert isinstance(consumer._thread, ChunkConsumerThread)
    assert consumer.flow_control is app.chunk_flow is not app.flow_control
    assert consumer.flow_active
    assert not consumer._stopped.is_set()
    assert not consumer.can_resume_flow.is_set()
    assert not consumer.suspend_flow.is_set()
    assert callable(consumer.callback)
    assert consumer._thread.app is app
    assert isinstance(app.consumer_generation_id, int)
    assert app.crash_reason is None
    assert app.on_partitions_assigned.connect
    assert app.on_partitions_revoked.connect


async def test_no_attribute_of_ours_hides_one_of_fausts(app: ChunkApp) -> None:
    theirs = faust.App("theirs", broker="kafka://127.0.0.1:1", autodiscover=False)
    ours = set(vars(app)) - set(vars(theirs))

    assert ours >= {"consumer_options", "chunk_flow", "fetch_wait", "ends"}
    assert not [name for name in ours if hasattr(theirs, name)]
    assert type(app.flow_control) is type(theirs.flow_control)
    assert not hasattr(driver.Consumer, "fetch_wait")
    assert not hasattr(driver.Consumer, "flow_control")


async def test_lag_is_unknown_before_there_is_a_consumer(app: ChunkApp) -> None:
    assert app.lag(TP("events.raw", 0), 5) == 0
    assert app.lag(TP("events.raw", 0), None) == 0


async def test_lag_is_known_from_elsewhere_when_the_consumer_does_not_fetch(app: ChunkApp) -> None:
    app.ends = {TP("events.raw", 0): 9}

    assert app.lag(TP("events.raw", 0), 5) == 4


async def test_an_app_starts_neither_a_web_server_nor_a_producer(app: ChunkApp) -> None:
    assert not app.boot_strategy._should_enable_web()
    assert not app.boot_strategy._should_enable_kafka_producer()


@pytest.mark.parametrize("read_committed", [True, False])
async def test_aiokafka_takes_every_option_of_the_consumer(settings: Settings, read_committed: bool) -> None:
    async with an_app(settings, read_committed=read_committed) as app:
        thread = app.chunk_consumer._thread

        consumer = thread._create_worker_consumer(None)
        await consumer.stop()

    assert consumer._isolation_level == ("read_committed" if read_committed else "read_uncommitted")
    assert consumer._group_instance_id == "i"
    assert not consumer._enable_auto_commit
    assert thread._assignor is RoundRobinPartitionAssignor


async def test_a_topic_of_chunks_hands_a_chunk_on_as_it_is(app: ChunkApp) -> None:
    topic, chunk = app.chunks("events.raw"), object()
    message = ConsumerMessage(
        "events.raw", 0, 4, 0.0, 0, None, None, chunk, None, tp=TP("events.raw", 0), generation_id=1
    )

    event = await topic.schema.compile(app)(message, propagate=False)

    assert event.value is chunk
    assert topic.acks is False


async def test_aiokafka_takes_every_option_of_the_producer(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made, but not started: there is no broker."""
    made: list[aiokafka.AIOKafkaProducer] = []

    async def start(producer: aiokafka.AIOKafkaProducer) -> None:
        made.append(producer)
        raise OSError("no broker")

    monkeypatch.setattr(aiokafka.AIOKafkaProducer, "start", start)
    checkpoint = Checkpoint(settings, "g", aiokafka.TopicPartition("events.raw", 3), [])

    with pytest.raises(OSError, match="no broker"):
        await checkpoint.open()
    await checkpoint.close()

    assert made[0]._txn_manager.transactional_id == "g-events.raw-3"
