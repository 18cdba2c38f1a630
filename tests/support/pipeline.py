"""The processes of The Eye, started for a test as an operator would start them."""

from __future__ import annotations

import json
import random
import signal
import ssl
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Self

import aiohttp
from yarl import URL

from eye.local.process import Process, wait_until
from eye.local.remembered_settings import free_port
from eye.local.stack import environment
from eye.operations.gateway_tls import gateway_context
from schemas.settings import Settings
from tests.conftest import KEY, fresh_database, fresh_settings
from tests.support.servers import SharedKafka, SharedPostgres

SAMPLE = Path(__file__).parents[1] / "sample-events.ndjson"

Event = dict[str, Any]


class EyeProcess(Process):
    """`eye gateway`, `eye stream` or `eye sinks` as a child of the test.

    `port` is a port to share with others, by default one that is free; `program` is what stands in for `-m eye`.
    """

    def __init__(
        self,
        stage: str,
        number: int,
        settings: Settings,
        log_dir: Path,
        port: int | None = None,
        *,
        program: Sequence[str] = ("-m", "eye"),
    ) -> None:
        self.port = port or free_port()
        variables = environment(settings) | {f"EYE_{stage.upper()}_PORT": str(self.port)}
        super().__init__(f"{stage}-{number}", log_dir, signal.SIGTERM, env=variables)
        self.stage = stage
        secure = stage == "gateway" and settings.tls_certfile is not None
        self.url = f"{'https' if secure else 'http'}://127.0.0.1:{self.port}"
        self._context = gateway_context(settings, own=True) if secure else None
        self._program = program

    def start(self) -> None:
        """Launch it, without waiting."""
        self._prepare()
        self._launch([sys.executable, *self._program, self.stage])

    def is_ready(self) -> bool:
        """Tell whether the process says that it is ready."""
        return fetch_status(f"{self.url}/readyz", self._context) == 200

    def exit_code(self) -> int | None:
        """Return the exit code once it has ended."""
        return self._child.poll() if self._child else None


class Pipeline:
    """A gateway, and as many stream and sink workers as wanted; a context manager.

    `program` is what their processes run in place of `-m eye`.
    """

    def __init__(
        self, settings: Settings, *, streams: int = 1, sinks: int = 1, program: Sequence[str] = ("-m", "eye")
    ) -> None:
        self.settings = settings
        self._program = program
        self._made = 0
        self.gateway = self.make("gateway")
        self.more_gateways: list[EyeProcess] = []
        self.streams = [self.make("stream") for _ in range(streams)]
        self.sinks = [self.make("sinks") for _ in range(sinks)]

    def make(self, stage: str, port: int | None = None, **changes: Any) -> EyeProcess:
        """Make one more process of a stage, not yet started, whose settings may differ.

        Whoever adds it to the lists has it stopped with them.
        """
        self._made += 1
        logs, settings = self.settings.data_dir / "logs", self.settings.model_copy(update=changes)
        return EyeProcess(stage, self._made, settings, logs, port=port, program=self._program)

    @property
    def processes(self) -> list[EyeProcess]:
        """All of them, in the order of the flow."""
        return [self.gateway, *self.more_gateways, *self.streams, *self.sinks]

    def __enter__(self) -> Self:
        try:
            for process in self.processes:
                process.start()
            wait_until(lambda: self._working() or self._ended(), 240)
            if not self._working():
                raise AssertionError(f"not ready; logs: {self.logs()}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.stop(15)

    def _working(self) -> bool:
        """One of each is enough: with more workers than partitions some own none."""
        stages = ([self.gateway], self.streams, self.sinks)
        return all(any(process.is_ready() for process in stage) for stage in stages if stage)

    def _ended(self) -> bool:
        return not all(process.running for process in self.processes)

    def logs(self) -> str:
        """Return the ends of the processes' logs."""
        return "\n".join(f"--- {p.log.name}\n{p.log.read_text()[-3000:]}" for p in self.processes if p.log.exists())

    async def post(self, body: bytes, content_type: str = "application/json", **headers: str) -> tuple[int, Any]:
        """POST to /events/ with the test's key; returns status and answer."""
        sent = {"Authorization": f"Bearer {KEY}", "Content-Type": content_type, **headers}
        url = f"{self.gateway.url}/events/"
        async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=sent) as response:
            return response.status, await response.json(content_type=None)

    async def get(self, path: str) -> tuple[int, Any]:
        """GET a path with the test's key; returns status and answer."""
        url, key = URL(f"{self.gateway.url}{path}", encoded=True), {"X-API-Key": KEY}
        async with aiohttp.ClientSession(headers=key) as session, session.get(url) as response:
            return response.status, await response.json(content_type=None)


@contextmanager
def running_pipeline(
    kafka: SharedKafka, postgres: SharedPostgres, directory: Path, applications: str
) -> Iterator[Pipeline]:
    """Lend a pipeline with topics, a database and an applications.toml of its own."""
    with fresh_database(postgres) as dsn:
        settings = fresh_settings(kafka, dsn, directory)
        settings.applications_file.write_text(applications)
        with Pipeline(settings) as running:
            yield running


def fetch_status(url: str, context: ssl.SSLContext | None = None) -> int | None:
    """Return the status a URL answers with, None when nothing answers."""
    try:
        with urllib.request.urlopen(url, timeout=1, context=context) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def an_event(**changes: Any) -> Event:
    """Return a valid pageview with an id of its own."""
    return {
        "event_id": str(uuid.uuid4()),
        "session_id": "s-1",
        "category": "page interaction",
        "name": "pageview",
        "timestamp": "2021-01-01 09:15:27.243860",
        "data": {"host": "www.example.com", "path": "/"},
    } | changes


def numbered_events(number: int, sessions: int) -> Iterator[Event]:
    """Yield valid events, numbered within their session by `path` and by time."""
    counts = [0] * sessions
    chance = random.Random(7)
    for _ in range(number):
        session = chance.randrange(sessions)
        counts[session] += 1
        index = counts[session]
        yield an_event(
            session_id=f"session-{session}",
            timestamp=time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(1_700_000_000 + index)),
            data={"host": "www.example.com", "path": f"/{index}"},
        )


def batches(events: Sequence[Event], size: int = 100) -> Iterator[list[Event]]:
    """Yield the events in batches."""
    rest = iter(events)
    while batch := list(islice(rest, size)):
        yield batch


def out_of_order(validated: Sequence[Event]) -> list[Event]:
    """Return the numbered events that stand behind a later one of their session."""
    latest: dict[str, int] = defaultdict(int)
    late = []
    for event in validated:
        number = int(event["data"]["path"].removeprefix("/"))
        if number < latest[event["session_id"]]:
            late.append(event)
        latest[event["session_id"]] = max(latest[event["session_id"]], number)
    return late


def ndjson(events: Sequence[Event]) -> bytes:
    """Return events as an NDJSON body."""
    return b"\n".join(json.dumps(event).encode() for event in events)


def poll(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until a condition holds; fails the test, saying what was waited for, when it does not."""
    assert wait_until(condition, seconds), f"not within {seconds} s: {what}"
