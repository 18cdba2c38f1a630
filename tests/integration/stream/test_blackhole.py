"""A broker that swallows all: SIGTERM ends stream and sinks within 15 s, whatever they wait for."""

from __future__ import annotations

import asyncio
import json
import signal
from functools import partial

import pytest

from eye.local.process import wait_until
from schemas.settings import Settings
from tests.support.pipeline import EyeProcess, Pipeline, an_event, poll
from tests.support.proxy import Proxy
from tests.support.stopwatch import Stopwatch

STOP_SECONDS = 15.0

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]


def terminate(processes: list[EyeProcess]) -> dict[str, tuple[int | None, bool]]:
    """Send SIGTERM to each; returns their exit codes, and whether they ended in time."""
    watch = Stopwatch()
    for process in processes:
        assert process._child is not None
        process._child.send_signal(signal.SIGTERM)
    ended = wait_until(lambda: not any(process.running for process in processes), STOP_SECONDS + 1)
    in_time = ended and watch.seconds < STOP_SECONDS
    return {process.stage: (process.exit_code(), in_time) for process in processes}


def waits(worker: EyeProcess) -> bool:
    """Tell whether a worker that was started a second time is up."""
    return worker.log.read_text().count("status page on") == 2


def test_sigterm_ends_workers_in_time_while_they_work_and_start(proxied: tuple[Proxy, Settings]) -> None:
    proxy, settings = proxied
    with Pipeline(settings) as line:
        workers = [*line.streams, *line.sinks]
        events = [an_event(session_id=f"s-{number}") for number in range(20)]
        status, _ = asyncio.run(line.post(json.dumps(events).encode()))
        proxy.blackhole = True

        assert status == 202
        assert terminate(workers) == {"stream": (0, True), "sinks": (0, True)}

        for worker in workers:
            worker.start()
        for worker in workers:
            poll(partial(waits, worker), 60, "it waits for Kafka")
        assert terminate(workers) == {"stream": (0, True), "sinks": (0, True)}
