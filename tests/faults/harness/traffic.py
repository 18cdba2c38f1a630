"""The sender of a drill: several lanes at a steady rate, each a client that does what the README tells it to."""

from __future__ import annotations

import asyncio
import math
import random
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from tests.conftest import KEY
from tests.faults.harness.events import Known, a_known_event
from tests.support.pipeline import ndjson

LANES = 4
_SESSIONS = 25
_BATCH = 20
_AGAIN_SHARE = 0.01
_AGAIN_SECONDS = 0.3
_ANSWER_SECONDS = 30.0
_FINISH_SECONDS = 180.0


class Traffic(threading.Thread):
    """Sends known events to a gateway until it is told to finish; a thread with an event loop of its own.

    A lane sends the events of its own sessions, one request after another. What is answered with `retry` or
    503, and what never left because nobody listened, is sent again with the same ids. Where a connection died
    with a request on it, nobody knows: one half is sent again, the other is given up, unless the sender never
    `gives_up`. Some events are sent twice on purpose.
    """

    def __init__(self, url: str, seed: int, rate: float, *, gives_up: bool = True) -> None:
        super().__init__(name="traffic", daemon=True)
        self.sent: list[Known] = []
        self.failures: list[str] = []
        self.refused = 0
        self.slowest = 0.0
        self.skew = timedelta()
        self._urls = [url]
        self._seed = seed
        self._gives_up = gives_up
        self._interval = LANES * _BATCH / rate
        self._ending = threading.Event()
        self._given_up_at: float | None = None
        self._silent_until = -math.inf
        self._lanes = [_Lane(self, number) for number in range(LANES)]

    @property
    def acknowledged(self) -> list[Known]:
        """The events that got their 2xx."""
        return [known for known in self.sent if known.acknowledged is not None]

    def spread(self, urls: Sequence[str]) -> None:
        """Send to these gateways from now on; a lane that moves begins sessions of its own there."""
        self._urls = list(urls)

    def lanes_at(self, url: str) -> int:
        """Return how many lanes still send to a gateway."""
        return sum(lane.url == url for lane in self._lanes)

    def expect_silence(self) -> None:
        """Take no offence at requests without an answer: the gateway is frozen."""
        self._silent_until = math.inf

    def expect_answers(self) -> None:
        """Expect an answer to each request that begins from now on."""
        self._silent_until = time.monotonic()

    def finish(self) -> None:
        """Make no more events, get answers for those on their way, and return. What is broken has to be whole."""
        self._given_up_at = time.monotonic() + _FINISH_SECONDS
        self._ending.set()
        self.join()

    def run(self) -> None:
        """Send, in the thread."""
        asyncio.run(self._send())

    async def _send(self) -> None:
        timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/x-ndjson"}
        async with aiohttp.ClientSession(timeout=timeout, headers=headers) as client:
            await asyncio.gather(*(lane.run(client) for lane in self._lanes))

    def _url_of(self, lane: int) -> str:
        return self._urls[lane % len(self._urls)]

    def _is_over(self) -> bool:
        return self._given_up_at is not None and time.monotonic() > self._given_up_at


def lane_sessions(lane: int) -> list[str]:
    """Return the sessions whose events a lane sends."""
    return [f"live-{lane}-{number}" for number in range(_SESSIONS)]


class _Lane:
    def __init__(self, traffic: Traffic, number: int) -> None:
        self.url = traffic._url_of(number)
        self._traffic = traffic
        self._number = number
        self._moves = 0
        self._chance = random.Random(f"{traffic._seed}-{number}")
        self._requests = 0
        self._known: list[Known] = []

    async def run(self, client: aiohttp.ClientSession) -> None:
        due = time.monotonic()
        while not self._traffic._ending.is_set():
            self._follow()
            await self._deliver(client, self._next_batch())
            due = max(due + self._traffic._interval, time.monotonic() - self._traffic._interval)
            await asyncio.sleep(due - time.monotonic())  # the rate

    def _follow(self) -> None:
        """Go to the gateway that the lane is meant for now."""
        url = self._traffic._url_of(self._number)
        if url != self.url:
            self.url, self._moves = url, self._moves + 1
            self._known.clear()

    def _next_batch(self) -> list[Known]:
        batch = [self._next_event() for _ in range(_BATCH)]
        return list(dict.fromkeys(batch))

    def _next_event(self) -> Known:
        if self._known and self._chance.random() < _AGAIN_SHARE:
            return self._chance.choice(self._known[-1000:])
        session_id = self._chance.choice(lane_sessions(self._number)) + (f"-{self._moves}" if self._moves else "")
        known = a_known_event(self._chance, session_id, datetime.now(UTC), self._traffic.skew)
        self._known.append(known)
        self._traffic.sent.append(known)
        return known

    async def _deliver(self, client: aiohttp.ClientSession, batch: Sequence[Known]) -> None:
        while batch and not self._traffic._is_over():
            batch = await self._request(client, batch)
            if batch:
                await asyncio.sleep(_AGAIN_SECONDS)  # sooner than Retry-After says: the more is tried

    async def _request(self, client: aiohttp.ClientSession, batch: Sequence[Known]) -> Sequence[Known]:
        """Send a request, and return the events that have to be sent again."""
        self._requests += 1
        for place, known in enumerate(batch):
            known.first = known.first or (self._requests, place)
        begun = time.monotonic()
        try:
            body = ndjson([known.body for known in batch])
            async with client.post(f"{self.url}/events/", data=body) as response:
                answer = await response.json(content_type=None)
        except aiohttp.ClientConnectorError:
            return batch
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if isinstance(error, TimeoutError) and begun > self._traffic._silent_until:
                self._traffic.failures.append(f"no answer within {_ANSWER_SECONDS:.0f} s")
            return batch if self._chance.random() < 0.5 or not self._traffic._gives_up else []
        self._traffic.slowest = max(self._traffic.slowest, time.monotonic() - begun)
        return self._read(batch, response.status, answer)

    def _read(self, batch: Sequence[Known], status: int, answer: Any) -> Sequence[Known]:
        again = [
            known
            for known, result in zip(batch, answer.get("results", ()), strict=False)
            if result["status"] == "retry"
        ]
        self._traffic.refused += bool(again) or status in (429, 503)
        if status == 202:
            for place, (known, result) in enumerate(zip(batch, answer["results"], strict=True)):
                if result["status"] == "ok" and known.acknowledged is None:
                    known.acknowledged = (self._requests, place)
        elif status in (429, 503):
            return again or batch
        else:
            self._traffic.failures.append(f"answered with {status}: {answer}")
        return again
