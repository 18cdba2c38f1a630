"""A worker's status page: `/healthz`, `/readyz` and `/metrics`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from aiohttp import web
from aiokafka import TopicPartition
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from kafka_client.cluster_guard import ClusterGuard
from stream.runner.partitions import PartitionStatus

STALLED_SECONDS = 20.0
"""Seconds after which a partition that has lag and does not move counts as stalled."""

StatusOf = Callable[[], Mapping[TopicPartition, PartitionStatus]]
LagOf = Callable[[TopicPartition, int | None], int]


class PartitionCollector:
    """Collect position and lag of each owned partition for Prometheus."""

    def __init__(self, status: StatusOf, lag: LagOf) -> None:
        self._status, self._lag = status, lag

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield the gauges as they are now."""
        labels = ["topic", "partition"]
        position = GaugeMetricFamily(POSITION, "Next offset to be worked on.", labels=labels)
        lag = GaugeMetricFamily(LAG, "Messages between the position and the partition's end.", labels=labels)
        failures = GaugeMetricFamily(FAILURES, "Failed attempts in a row; 0 when it works.", labels=labels)
        standstill = GaugeMetricFamily(STANDSTILL, "How long it has not moved though it has lag.", labels=labels)
        seconds = GaugeMetricFamily(LAG_SECONDS, "Age of the oldest record still to be worked on.", labels=labels)
        refused = GaugeMetricFamily(
            REFUSED, "Size of the record that the topic `target` does not take.", labels=[*labels, "target"]
        )
        now = time.monotonic()
        for tp, status in self._status().items():
            where = [tp.topic, str(tp.partition)]
            behind = self._lag(tp, status.position)
            failures.add_metric(where, status.failures)
            standstill.add_metric(where, standstill_seconds(status, behind, now))
            if status.refused is not None:
                refused.add_metric([*where, status.refused.topic], status.refused.size)
            if status.position is not None:
                position.add_metric(where, status.position)
                lag.add_metric(where, behind)
                seconds.add_metric(where, lag_seconds(status, behind, now))
        return [position, lag, seconds, failures, standstill, refused]


class ClusterCollector:
    """Collect whether Kafka is another cluster than the worker's."""

    def __init__(self, guard: ClusterGuard) -> None:
        self._guard = guard

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield the gauge as it is now."""
        meaning = "1 while Kafka is another cluster than the one this process belongs to, and is left alone; else 0."
        yield GaugeMetricFamily(FOREIGN, meaning, value=float(self._guard.fault is not None))


FOREIGN = "eye_kafka_foreign_cluster"
POSITION = "eye_partition_position"
LAG = "eye_partition_lag_messages"
LAG_SECONDS = "eye_partition_lag_seconds"
FAILURES = "eye_partition_failures"
STANDSTILL = "eye_partition_standstill_seconds"
REFUSED = "eye_partition_refused_record_bytes"


def standstill_seconds(status: PartitionStatus, lag: int, now: float) -> float:
    """Return for how long a partition with lag, or whose work cannot be opened, has not moved; otherwise 0."""
    has_work = lag > 0 or (status.position is None and status.error is not None)
    return now - status.moved_at if has_work else 0.0


def lag_seconds(status: PartitionStatus, lag: int, now: float) -> float:
    """Return the age of the oldest record still to be processed, in seconds; 0 without lag.

    While the record's timestamp is unknown, it is at least the time without progress.
    """
    if lag <= 0:
        return 0.0
    age = time.time() - status.reached if status.reached is not None else 0.0
    return max(age, standstill_seconds(status, lag, now), 0.0)


def status_page(
    registry: CollectorRegistry,
    status: StatusOf,
    lag: LagOf,
    stopping: Callable[[], bool],
    kafka_fault: Callable[[], str | None] = lambda: None,
) -> web.Application:
    """Build the page. It answers 503 and names the partitions at fault, or Kafka, when something is wrong."""

    async def healthz(_: web.Request) -> web.Response:
        now = time.monotonic()
        stalled = {
            f"{tp.topic}:{tp.partition}": s.error or "does not move"
            for tp, s in status().items()
            if standstill_seconds(s, lag(tp, s.position), now) > STALLED_SECONDS
        }
        return _answer("stalled", stalled)

    async def readyz(_: web.Request) -> web.Response:
        if stopping():
            return _answer("stopping", {"worker": "stopping"})
        if (fault := kafka_fault()) is not None:
            return _answer("failing", {"kafka": fault})
        owned = status()
        failing = {f"{tp.topic}:{tp.partition}": s.error for tp, s in owned.items() if s.error}
        return _answer("failing", failing if owned else {"worker": "owns no partition yet"})

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    page = web.Application()
    page.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    return page


def _answer(word: str, faults: Mapping[str, str | None]) -> web.Response:
    return web.json_response(
        {"status": word if faults else "ok", **({word: faults} if faults else {})}, status=503 if faults else 200
    )
