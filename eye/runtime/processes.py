"""The three processes: gateway, stream, sinks."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Collection
from typing import NoReturn

import psycopg
import uvloop
from aiokafka.errors import ClusterAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError
from prometheus_client import CollectorRegistry

import gateway.server
import sinks.app
import stream.app
from eye.operations.topics import create_topics, missing_topics
from eye.runtime.process_metrics import process_registry
from eye.runtime.restart import pause_after_restart, restart_process
from eye.runtime.watchdog import watch_event_loop
from kafka_client.cluster_guard import ClusterGuard
from schemas.settings import Settings, SettingsError
from schemas.spans import Spans
from schemas.topics import topic_names
from stream.runner.worker import Worker, WorkerCrashed

log = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0


def run_gateway(settings: Settings) -> None:
    """Serve HTTP until SIGTERM."""
    spans = _spans("gateway", settings)
    gateway.server.run(settings, registry=process_registry("gateway", settings), spans=spans)
    if spans is not None:
        spans.flush()


def run_stream(settings: Settings) -> None:
    """Judge and group raw records until SIGTERM."""
    topics = topic_names(settings)
    needed = (topics.raw, topics.validated, topics.rejected, topics.sessions)
    _run_worker("stream", settings, stream.app.build_worker, needed)


def run_sinks(settings: Settings) -> None:
    """Store verdicts and sessions until SIGTERM."""
    topics = topic_names(settings)
    _run_worker("sinks", settings, sinks.app.build_worker, (topics.validated, topics.rejected, topics.sessions))


_Build = Callable[[Settings, CollectorRegistry, Spans | None], Worker]


def _spans(component: str, settings: Settings) -> Spans | None:
    """Return the spans that go to a tracing system, None where it is off. Raises SettingsError without the extra."""
    if not settings.traces:
        return None
    try:
        from eye.runtime.spans import otlp_spans
    except ImportError:
        raise SettingsError("EYE_TRACES needs OpenTelemetry: pip install 'the-eye[otel]'.") from None
    return otlp_spans(component)


def _run_worker(component: str, settings: Settings, build: _Build, topics: Collection[str]) -> NoReturn:
    """Run a worker to its end, and end the process with it: whatever counts is stored, nothing is to be waited for."""
    pause_after_restart()
    registry, spans = process_registry(component, settings), _spans(component, settings)
    began = time.monotonic()

    def fail(crash: WorkerCrashed) -> NoReturn:
        restart_process(crash, time.monotonic() - began)

    async def work() -> None:
        try:
            with watch_event_loop(lambda: fail(WorkerCrashed("the event loop stood still"))):
                worker = build(settings, registry, spans)
                await worker.run(prepare=lambda: _topics_there(settings, topics, worker.guard))
        except WorkerCrashed as crash:
            fail(crash)
        if spans is not None:
            spans.flush()
        logging.shutdown()
        os._exit(0)

    uvloop.run(work())
    raise AssertionError("unreachable")


async def _topics_there(settings: Settings, needed: Collection[str], guard: ClusterGuard) -> None:
    """Wait for the Kafka that the guard knows, and make the topics where one that is needed is missing."""
    while True:
        try:
            await guard.learn(settings.kafka_client())
            if not await missing_topics(settings, needed, guard):
                return
            created = [state.name for state in await create_topics(settings, guard) if state.created]
        except (TopicAuthorizationFailedError, ClusterAuthorizationFailedError) as error:
            log.warning("waiting for topics, which this user may not make (`eye topics create`): %s", error)
            await asyncio.sleep(_RETRY_SECONDS)
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("waiting for Kafka at %s: %s", settings.kafka_bootstrap_servers, guard.fault or error)
            await asyncio.sleep(_RETRY_SECONDS)
        except psycopg.Error as error:
            log.warning("waiting for Postgres, which remembers Kafka's cluster: %s", error)
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            if created:
                log.info("topics made: %s", ", ".join(created))
            return
