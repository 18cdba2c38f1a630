"""The three processes: gateway, stream, sinks."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import NoReturn

import uvloop
from aiokafka.errors import ClusterAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError

import gateway.server
import sinks.app
import stream.app
from eye.process_metrics import process_registry
from eye.restart import begin_anew, pause_after_restart
from eye.topics import create_topics, missing_topics
from eye.watchdog import guarded
from schemas.settings import Settings
from schemas.topics import topic_names
from stream.transport.worker import Worker, WorkerCrashed

log = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0


def run_gateway(settings: Settings) -> None:
    """Serve HTTP until SIGTERM."""
    gateway.server.run(settings, registry=process_registry("gateway", settings))


def run_stream(settings: Settings) -> None:
    """Judge and group raw records until SIGTERM."""
    topics = topic_names(settings)
    needed = (topics.raw, topics.validated, topics.rejected, topics.sessions)
    registry = process_registry("stream", settings)
    _run_worker(settings, partial(stream.app.build_worker, registry=registry), needed)


def run_sinks(settings: Settings) -> None:
    """Store verdicts and sessions until SIGTERM."""
    topics = topic_names(settings)
    registry = process_registry("sinks", settings)
    needed = (topics.validated, topics.rejected, topics.sessions)
    _run_worker(settings, partial(sinks.app.build_worker, registry=registry), needed)


def _run_worker(settings: Settings, build: Callable[[Settings], Worker], topics: Collection[str]) -> NoReturn:
    """Run a worker to its end, and end the process with it: whatever counts is stored, nothing is to be waited for."""
    pause_after_restart()
    began = time.monotonic()

    def fail(crash: WorkerCrashed) -> NoReturn:
        begin_anew(crash, time.monotonic() - began)

    async def work() -> None:
        try:
            with guarded(lambda: fail(WorkerCrashed("the event loop stood still"))):
                await build(settings).run(prepare=lambda: _topics_there(settings, topics))
        except WorkerCrashed as crash:
            fail(crash)
        logging.shutdown()
        os._exit(0)

    uvloop.run(work())
    raise AssertionError("unreachable")


async def _topics_there(settings: Settings, needed: Collection[str]) -> None:
    """Wait for Kafka, and make the topics where one that is needed is missing."""
    while True:
        try:
            if not await missing_topics(settings, needed):
                return
            created = [state.name for state in await create_topics(settings) if state.created]
        except (TopicAuthorizationFailedError, ClusterAuthorizationFailedError) as error:
            log.warning("waiting for topics, which this user may not make (`eye topics create`): %s", error)
            await asyncio.sleep(_RETRY_SECONDS)
        except KafkaError as error:
            log.warning("waiting for Kafka at %s: %s", settings.kafka_bootstrap_servers, error)
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            if created:
                log.info("topics made: %s", ", ".join(created))
            return
