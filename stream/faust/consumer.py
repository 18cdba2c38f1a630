"""Consume chunks with Faust, from the offsets that the partitions' work names.

Private names of Faust and aiokafka are used here and in `stream/faust/batches.py` only. Both packages are pinned, and
`tests/unit/stream/faust/test_contract.py` checks every such name.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import aiokafka
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from kafka_client.background_tasks import ended_task
from stream.faust.batches import WholeBatch, leave_whole, take_apart
from stream.faust.fetch_wait import Fetch, FetchWait
from stream.runner.chunk import Chunk
from stream.runner.flow_control import FlowControl

log = logging.getLogger(__name__)


_IDLE_SECONDS = 0.2
_BUSY_SECONDS = 0.02
_ANSWER_SECONDS = 15.0
"""Most seconds to wait for what the group has committed, or is to commit."""


FAUST_LOG = logging.getLogger("faust")
"""Where Faust's classes log of themselves: by default each does so in the name of the module that derives from it."""


class ChunkConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Run aiokafka's consumer, made with the app's options, in a thread."""

    logger = FAUST_LOG

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        self._assignor = RoundRobinPartitionAssignor
        return aiokafka.AIOKafkaConsumer(
            **self.app.consumer_options,
            value_deserializer=leave_whole,
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
        )

    async def committed(self, tp: TP) -> int | None:
        """Return the group's committed offset, None where there is none. Raises KafkaError or TimeoutError."""
        async with asyncio.timeout(_ANSWER_SECONDS):
            offset: int | None = await self.call_thread(self._ensure_consumer().committed, tp)
        return offset

    def fault(self) -> str | None:
        """Return why the consumer has given up, None while it works.

        aiokafka keeps an error it cannot recover from for its next caller, and does nothing more until then. Nor
        does it tell when one of its background tasks has ended.
        """
        consumer = self._consumer
        if consumer is None or consumer._coordinator is None or consumer._closed:
            return None
        if consumer._coordinator._pending_exception is not None:
            return repr(consumer._coordinator._pending_exception)
        name = ended_task(consumer)
        return None if name is None else f"its {name} has ended"

    def progress(self, tp: TP) -> tuple[int, int] | None:
        """Return where fetching stands and the partition's end, as of the last fetch; None while unknown.

        The end is that of what is committed, where only that is read.
        """
        consumer = self._consumer
        if consumer is None or tp not in consumer.assignment():
            return None
        state = consumer._subscription.subscription.assignment.state_value(tp)
        end = state.lso if self.app.consumer_options["isolation_level"] == "read_committed" else state.highwater
        return (state.position, end) if state.has_valid_position and end is not None else None

    def set_fetch(self, fetch: Fetch) -> None:
        """Set when the broker answers the next fetches."""
        fetcher = self._ensure_consumer()._fetcher
        fetcher._fetch_min_bytes, fetcher._fetch_max_wait_ms = fetch

    async def seek_now(self, tp: TP, offset: int) -> None:
        """Seek in the consumer's own thread. Raises IllegalStateError when the partition is not ours."""
        await self.call_thread(self._seek_now, tp, offset)

    async def _seek_now(self, tp: TP, offset: int) -> None:
        self._ensure_consumer().seek(tp, offset)

    async def report(self, offsets: Mapping[TP, int]) -> None:
        """Commit offsets to the group. Raises KafkaError or TimeoutError."""
        committed = {TopicPartition(*tp): OffsetAndMetadata(offset, "") for tp, offset in offsets.items()}
        async with asyncio.timeout(_ANSWER_SECONDS):
            await self.call_thread(self._ensure_consumer().commit, committed)


class ChunkConsumer(driver.Consumer):  # type: ignore[misc]
    """Deliver a `Chunk` where Faust's consumer delivers a message; acknowledge nothing."""

    logger = FAUST_LOG
    _thread: ChunkConsumerThread

    def _new_consumer_thread(self) -> ChunkConsumerThread:
        return ChunkConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def flow_control(self) -> FlowControl:
        """The app's flow control: positions to read from, and room for more chunks."""
        flow_control: FlowControl = self.app.chunk_flow
        return flow_control

    @property
    def fetch_wait(self) -> FetchWait:
        """The app's policy for the wait of a fetch."""
        fetch_wait: FetchWait = self.app.fetch_wait
        return fetch_wait

    async def committed(self, tp: TP) -> int | None:
        """Return the group's committed offset, None where there is none. Raises KafkaError or TimeoutError."""
        return await self._thread.committed(tp)

    def fault(self) -> str | None:
        """Return why nothing more will be read, None while the consumer works."""
        return self._thread.fault()

    def lag(self, tp: TP, position: int, known_end: int | None) -> int:
        """Return how many offsets a partition's work is behind; 0 while that is unknown.

        The end is the larger of the last fetch's end and `known_end`, because a consumer that has stopped fetching
        sees no lag. Transaction markers at the end are not lag: when the work is idle, the fetch position counts.
        """
        fetched, end = self._thread.progress(tp) or (position, position)
        end = max(end, known_end or 0)
        return max(end - (max(fetched, position) if self.flow_control.is_idle(tp, position) else position), 0)

    async def report_positions(self, offsets: Mapping[TP, int]) -> None:
        """Commit offsets to the group, for tools that show lag. A failure is only logged."""
        try:
            await self._thread.report({tp: o for tp, o in offsets.items() if tp in self.assignment()})
        except (KafkaError, TimeoutError) as error:
            log.info("positions not reported to Kafka: %r", error)

    async def perform_seek(self) -> None:
        """Do nothing: each partition's work names the offset to read from."""

    def on_buffer_full(self, tp: TP) -> None:
        """Do nothing: `FlowControl` bounds what is buffered."""

    def on_buffer_drop(self, tp: TP) -> None:
        """Do nothing, as `on_buffer_full`."""

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Do nothing: Faust knows only acknowledged messages here, the worker checks progress by itself."""

    async def _drain_messages(self, fetcher: Any) -> None:
        """Seek, fetch and deliver until Faust stops the fetcher; nothing else seeks or fetches."""
        while not (self._stopped.is_set() or fetcher._stopped.is_set()):
            if not self.flow_active:
                await self.wait(self.can_resume_flow)
                continue
            await self._seek_requested()
            wanted, others_wait = self.flow_control.wanted(self.assignment())
            if not wanted:
                await self.flow_control.wait_for_change(_IDLE_SECONDS)
                continue
            self._thread.set_fetch(self.fetch_wait.fetch())
            try:
                fetched = await self._thread.getmany(wanted, _BUSY_SECONDS if others_wait else _IDLE_SECONDS)
            except self.consumer_stopped_errors:
                return
            for tp, batches in fetched.items():
                await self._deliver(tp, batches)

    async def _seek_requested(self) -> None:
        for tp, offset in self.flow_control.take_seeks().items():
            try:
                await self._thread.seek_now(tp, offset)
            except IllegalStateError:
                log.info("%s:%d is no longer ours, not sought", tp.topic, tp.partition)
            else:
                self.flow_control.sought(tp, offset)

    async def _deliver(self, tp: TP, batches: list[WholeBatch]) -> None:
        """Deliver the fetched records of a partition to its agent as one chunk."""
        start = self.flow_control.position(tp)
        if start is None or not self.flow_active:
            return
        records = take_apart(batches, tp.topic, tp.partition, start)
        if not records:
            return
        last = records[-1]
        chunk = Chunk(tp.topic, tp.partition, start, last.offset + 1, records)
        message = ConsumerMessage(
            topic=tp.topic,
            partition=tp.partition,
            offset=last.offset,
            timestamp=last.timestamp / 1000,
            timestamp_type=None,
            headers=None,
            key=None,
            value=chunk,
            checksum=None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )
        self.flow_control.advance(tp, chunk.next_offset)
        self.fetch_wait.note_chunk()
        await self.wait_first(self.callback(message), self.suspend_flow.wait())


class ChunkTransport(driver.Transport):  # type: ignore[misc]
    """Faust's transport with `ChunkConsumer`."""

    Consumer = ChunkConsumer
    logger = FAUST_LOG
