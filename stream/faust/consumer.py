"""Faust's consumer, changed in two places: it delivers chunks, and reads from where the work says.

What of Faust and aiokafka is used beyond their public names stands here and in `stream/faust/batches.py`, and
is held by `tests/unit/stream/test_faust_contract.py`; both are pinned.
"""

from __future__ import annotations

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

from stream.faust.batches import WholeBatch, leave_whole, take_apart
from stream.faust.fetch_wait import Fetch, Pace
from stream.faust.flow_control import Reading
from stream.runner.chunk import Chunk

log = logging.getLogger(__name__)


_IDLE_SECONDS = 0.2
_BUSY_SECONDS = 0.02


class ChunkConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """The thread with aiokafka's consumer, made from the app's own options."""

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        self._assignor = RoundRobinPartitionAssignor
        return aiokafka.AIOKafkaConsumer(
            **self.app.consumer_options,
            value_deserializer=leave_whole,
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
        )

    async def committed(self, tp: TP) -> int | None:
        """Return the group's committed offset, None where there is none. Raises KafkaError."""
        offset: int | None = await self.call_thread(self._ensure_consumer().committed, tp)
        return offset

    def fault(self) -> str | None:
        """Say why the consumer has given up, None while it works.

        aiokafka keeps what it can't mend for whoever asks next, and does nothing more until then.
        """
        consumer = self._consumer
        if consumer is None or consumer._coordinator is None or consumer._closed:
            return None
        if consumer._coordinator._pending_exception is not None:
            return repr(consumer._coordinator._pending_exception)
        tasks = (consumer._coordinator._coordination_task, consumer._fetcher._fetch_task)
        return next((f"{task.get_name()} has ended" for task in tasks if task.done()), None)

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

    def ask(self, fetch: Fetch) -> None:
        """Say how the fetches from now on are to be answered."""
        fetcher = self._ensure_consumer()._fetcher
        fetcher._fetch_min_bytes, fetcher._fetch_max_wait_ms = fetch

    async def seek_now(self, tp: TP, offset: int) -> None:
        """Seek in the consumer's own thread. Raises IllegalStateError when the partition is not ours."""
        await self.call_thread(self._seek_now, tp, offset)

    async def _seek_now(self, tp: TP, offset: int) -> None:
        self._ensure_consumer().seek(tp, offset)

    async def report(self, offsets: Mapping[TP, int]) -> None:
        """Commit offsets to the group. Raises KafkaError."""
        committed = {TopicPartition(*tp): OffsetAndMetadata(offset, "") for tp, offset in offsets.items()}
        await self.call_thread(self._ensure_consumer().commit, committed)


class ChunkConsumer(driver.Consumer):  # type: ignore[misc]
    """Delivers a `Chunk` where Faust's consumer delivers a message, and acknowledges nothing."""

    _thread: ChunkConsumerThread

    def _new_consumer_thread(self) -> ChunkConsumerThread:
        return ChunkConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def reading(self) -> Reading:
        """Where the partitions are read from."""
        reading: Reading = self.app.reading
        return reading

    @property
    def pace(self) -> Pace:
        """How fetches are answered."""
        pace: Pace = self.app.pace
        return pace

    async def committed(self, tp: TP) -> int | None:
        """Return the group's committed offset, None where there is none. Raises KafkaError."""
        return await self._thread.committed(tp)

    def fault(self) -> str | None:
        """Say why nothing more will be read, None while all is well."""
        return self._thread.fault()

    def lag(self, tp: TP, position: int, known_end: int | None) -> int:
        """Return how many offsets a partition's work is behind; 0 while that is unknown.

        The end is that of the last fetch, or the one known from elsewhere where that is further: a consumer that
        has stopped fetching would know of no lag. Transaction markers at the end are none: there fetching is
        further than the last record.
        """
        fetched, end = self._thread.progress(tp) or (position, position)
        end = max(end, known_end or 0)
        return max(end - (max(fetched, position) if self.reading.is_idle(tp, position) else position), 0)

    async def report_positions(self, offsets: Mapping[TP, int]) -> None:
        """Commit offsets to the group for the tools that show lag; a failure is logged and no more."""
        try:
            await self._thread.report({tp: o for tp, o in offsets.items() if tp in self.assignment()})
        except KafkaError as error:
            log.info("positions not reported to Kafka: %s", error)

    async def perform_seek(self) -> None:
        """Leave the positions alone: each partition's work says where it is read from."""

    def on_buffer_full(self, tp: TP) -> None:
        """Leave the partition alone: `Reading` bounds what is buffered."""

    def on_buffer_drop(self, tp: TP) -> None:
        """See `on_buffer_full`."""

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Leave it to the worker's own watch: this one knows only acknowledged messages."""

    async def _drain_messages(self, fetcher: Any) -> None:
        """Fetch and deliver, until Faust stops the fetcher. The only place that seeks and fetches."""
        while not (self._stopped.is_set() or fetcher._stopped.is_set()):
            if not self.flow_active:
                await self.wait(self.can_resume_flow)
                continue
            await self._seek_where_asked()
            wanted, others_wait = self.reading.wanted(self.assignment())
            if not wanted:
                await self.reading.wait_for_change(_IDLE_SECONDS)
                continue
            self._thread.ask(self.pace.fetch())
            try:
                fetched = await self._thread.getmany(wanted, _BUSY_SECONDS if others_wait else _IDLE_SECONDS)
            except self.consumer_stopped_errors:
                return
            for tp, batches in fetched.items():
                await self._deliver(tp, batches)

    async def _seek_where_asked(self) -> None:
        for tp, offset in self.reading.take_seeks().items():
            try:
                await self._thread.seek_now(tp, offset)
            except IllegalStateError:
                log.info("%s:%d is no longer ours, not sought", tp.topic, tp.partition)
            else:
                self.reading.sought(tp, offset)

    async def _deliver(self, tp: TP, batches: list[WholeBatch]) -> None:
        """Hand what was fetched of a partition to its agent, as one chunk."""
        start = self.reading.position(tp)
        if start is None or not self.flow_active:
            return
        records = take_apart(batches, tp.topic, tp.partition, start)
        if not records:
            return
        last = records[-1]
        chunk = Chunk(tp.topic, tp.partition, start, last.offset + 1, records)
        message = ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000,
            None,
            None,
            None,
            chunk,
            None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )
        self.reading.advance(tp, chunk.next_offset)
        self.pace.note_chunk()
        await self.wait_first(self.callback(message), self.suspend_flow.wait())


class ChunkTransport(driver.Transport):  # type: ignore[misc]
    """Faust's transport with the consumer above."""

    Consumer = ChunkConsumer
