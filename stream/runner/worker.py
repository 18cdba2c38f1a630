"""The life cycle of a worker process: start, work, stop cleanly, or crash."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

from aiohttp import web
from aiokafka import TopicPartition
from prometheus_client import CollectorRegistry

from kafka_client.cluster_guard import ClusterGuard
from schemas.record import place
from stream.runner.kafka_reader import Lookup
from stream.runner.partitions import Partitions, PartitionStatus
from stream.runner.stage_app import StageApp
from stream.runner.status import (
    STALLED_SECONDS,
    ClusterCollector,
    PartitionCollector,
    standstill_seconds,
    status_page,
)

log = logging.getLogger(__name__)

_COLLECT = (500_000, 20, 100)
"""Thresholds of the garbage collector: rare, since chunks are many objects without cycles (a sixth less CPU)."""

_WATCH_SECONDS = 1.0
_REBALANCE_SECONDS = 60.0
_STANDSTILL_SECONDS = 60.0
_STOP_SECONDS = 5.0
_LAST_SECONDS = 13.0
_REPORT_SECONDS = 5.0
_ENDS_SECONDS = 5.0
_CLUSTER_SECONDS = 5.0


class WorkerCrashed(Exception):
    """The worker ended without a request to stop; a new process has to take over."""


class Worker:
    """A stage's app, its partitions and its status page, run in one process."""

    def __init__(
        self,
        app: StageApp,
        partitions: Partitions,
        registry: CollectorRegistry,
        guard: ClusterGuard,
        *,
        address: tuple[str, int] | None = None,
        report_positions: bool = False,
        surroundings: AbstractAsyncContextManager[None] | None = None,
        make_lookup: Callable[[], Lookup] | None = None,
    ) -> None:
        """Make a worker; `surroundings` is entered before the work begins and left after it has ended.

        While `guard` refuses the Kafka that is there, the worker is unready and waits for the right one.
        With `make_lookup` the partitions' ends are read on a second connection, since the consumer may have stopped.
        """
        self._app = app
        self._partitions = partitions
        self._registry = registry
        self.guard = guard
        self._address = address
        self._report_positions = report_positions
        self._surroundings = surroundings or nullcontext()
        self._make_lookup = make_lookup
        self._stop = asyncio.Event()
        registry.register(PartitionCollector(partitions.status, app.lag))
        registry.register(ClusterCollector(guard))
        app.on_partitions_assigned.connect(self._assigned, weak=False)
        app.on_partitions_revoked.connect(self._revoked, weak=False)

    def status(self) -> dict[TopicPartition, PartitionStatus]:
        """Return the state of each owned partition."""
        return self._partitions.status()

    async def run(self, prepare: Callable[[], Awaitable[None]] | None = None) -> None:
        """Call `prepare`, work until SIGTERM or SIGINT, finish the current chunks. Raises WorkerCrashed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        gc.set_threshold(*_COLLECT)
        async with self._surroundings, self._status_page():
            tasks = (self._work(prepare), self._watch(), self._refresh_ends(), self._watch_cluster())
            living = [asyncio.create_task(task) for task in tasks]
            stopped = asyncio.create_task(self._stop.wait())
            await asyncio.wait([*living, stopped], return_when=asyncio.FIRST_COMPLETED)
            if self._stop.is_set():
                loop.call_later(_LAST_SECONDS, os._exit, 0)  # all that counts is stored, whatever hangs
            for task in living:
                if task.done():
                    await task
                task.cancel()
            await self._shut_down()

    async def _work(self, prepare: Callable[[], Awaitable[None]] | None) -> None:
        """Run the app until it crashes."""
        try:
            if prepare is not None:
                await prepare()
            await self._app.start()
            if self._report_positions:
                self._app.add_future(self._report())
            await self._app.wait_until_stopped()
        except Exception as error:
            raise WorkerCrashed(f"{type(error).__name__}: {error}") from error
        raise WorkerCrashed(f"the Faust app stopped by itself: {self._app.crash_reason!r}")

    async def _watch(self) -> None:
        """Raise WorkerCrashed when the process lives but its work has stopped without an exception."""
        rebalancing = 0.0
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            rebalancing = rebalancing + _WATCH_SECONDS if self._app.rebalancing and not self.guard.fault else 0.0
            if rebalancing > _REBALANCE_SECONDS:
                raise WorkerCrashed(f"a rebalance took more than {_REBALANCE_SECONDS:.0f} s")
            if fault := self._app.fault():
                raise WorkerCrashed(f"Kafka's consumer gave up: {fault}")
            if ended := self._partitions.ended():
                raise WorkerCrashed(f"the work on {ended[0].topic}:{ended[0].partition} ended by itself")
            self._check_lag()

    async def _watch_cluster(self) -> None:
        """Raise WorkerCrashed when another cluster is remembered than the one that this process knows."""
        while True:
            await asyncio.sleep(_CLUSTER_SECONDS)
            try:
                accepted = self.guard.known is not None and self._app.started and await self.guard.changed()
            except Exception as error:
                log.debug("which cluster is remembered is unknown: %r", error)
                continue
            if accepted:
                raise WorkerCrashed("another Kafka cluster was accepted")

    async def _refresh_ends(self) -> None:
        """Keep the app's `ends` up to date; empty while Kafka is away."""
        while True:
            try:
                if self._make_lookup is not None:
                    async with self._make_lookup() as lookup:
                        while True:
                            await asyncio.sleep(_ENDS_SECONDS)
                            self._app.ends = await lookup.ends(self._partitions.status())
            except Exception as error:
                log.debug("the ends of the partitions are unknown: %r", error)
                self._app.ends = {}
            await asyncio.sleep(_ENDS_SECONDS)

    def _check_lag(self) -> None:
        """Log partitions that do not move; raise WorkerCrashed for one that has no known failure to wait for."""
        now = time.monotonic()
        for tp, status in self._partitions.status().items():
            seconds = standstill_seconds(status, self._app.lag(tp, status.position), now)
            if seconds == 0:
                status.moved_at, status.stalled, status.reached = now, False, None
            if seconds > STALLED_SECONDS and not status.stalled:
                status.stalled = True
                log.error(
                    "%s:%d at offset %s has not moved for %.0f s: %s",
                    *tp,
                    status.position,
                    seconds,
                    status.error or "no failure is known",
                    extra=place(tp.topic, tp.partition, status.position),
                )
            if seconds > _STANDSTILL_SECONDS and status.error is None and self.guard.fault is None:
                raise WorkerCrashed(f"{tp.topic}:{tp.partition} has lag and does not move")

    async def _shut_down(self) -> None:
        """Finish the current chunks, then stop Faust. Results and positions are stored before that."""
        log.info("stopping")
        await self._partitions.stop()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._app.stop()
        except Exception as error:
            log.info("Faust did not stop cleanly: %s: %s", type(error).__name__, error)

    async def _assigned(self, _: object, assigned: set[TopicPartition], **kwargs: object) -> None:
        log.info("partitions assigned: %s", ", ".join(sorted(f"{tp.topic}:{tp.partition}" for tp in assigned)))
        self._partitions.start(assigned)

    async def _revoked(self, _: object, revoked: set[TopicPartition], **kwargs: object) -> None:
        await self._partitions.stop(revoked)

    async def _report(self) -> None:
        """Commit the positions to Kafka every few seconds, for tools that show lag; the stored ones are in Postgres."""
        reported: dict[TopicPartition, int] = {}
        while True:
            await asyncio.sleep(_REPORT_SECONDS)
            now = {tp: s.position for tp, s in self._partitions.status().items() if s.position is not None}
            changed = {tp: position for tp, position in now.items() if reported.get(tp) != position}
            if changed:
                await self._app.chunk_consumer.report_positions(changed)
                reported = now

    @asynccontextmanager
    async def _status_page(self) -> AsyncIterator[None]:
        if self._address is None:
            yield
            return
        page = status_page(
            self._registry, self._partitions.status, self._app.lag, self._stop.is_set, lambda: self.guard.fault
        )
        runner = web.AppRunner(page, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, *self._address).start()
            log.info("status page on http://%s:%d/healthz", *runner.addresses[0][:2])
            yield
        finally:
            await runner.cleanup()
