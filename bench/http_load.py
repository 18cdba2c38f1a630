"""A load of POSTs over kept-alive connections, light enough to leave the cores to what is measured.

`python -m bench.http_load URL KEY --connections 64 --batch 1 --seconds 10 [--rate EVENTS_PER_SECOND]`: prints a line
of JSON with requests and events per second, the quantiles of the answers' times in milliseconds, and how many
answers were no 202.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Iterator
from itertools import cycle, islice
from typing import cast
from urllib.parse import urlsplit

import uvloop

from bench.corpus import encoded, events

BODIES = 2_000
WARM_UP_SECONDS = 1.0


class Load:
    """State that all connections share: the requests, and their answers."""

    def __init__(self, requests: Iterator[bytes], interval: float | None) -> None:
        self.requests = requests
        self.interval = interval  # between two requests of one connection, in seconds
        self.seconds: list[float] = []
        self.failures = 0
        self.ended = False


class Connection(asyncio.Protocol):
    """Sends a request, waits for its answer, sends the next."""

    def __init__(self, load: Load, delay: float) -> None:
        self._load = load
        self._due = time.perf_counter() + delay
        self._answer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._later()

    def _later(self) -> None:
        wait = self._due - time.perf_counter()
        if wait > 0:
            asyncio.get_running_loop().call_later(wait, self._send)
        else:
            self._send()

    def _send(self) -> None:
        if self._load.ended:
            self._transport.close()
            return
        # with a rate, time counts from when the request was due: an answer that is late delays the next ones
        self._began = time.perf_counter() if self._load.interval is None else self._due
        self._transport.write(next(self._load.requests))

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head = self._answer.find(b"\r\n\r\n")
        if head < 0:
            return
        fields = bytes(self._answer[:head]).lower()
        length = int(fields.partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(self._answer) < head + 4 + length:
            return
        self._load.seconds.append(time.perf_counter() - self._began)
        self._load.failures += not fields.startswith(b"http/1.1 202")
        self._answer.clear()
        self._due += self._load.interval or 0.0
        self._later()

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.failures += not self._load.ended


async def main() -> None:
    """Send for so many seconds, and print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("key")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float, help="events per second; as fast as it goes without")
    given = parser.parse_args()
    interval = given.connections * given.batch / given.rate if given.rate else None
    url = urlsplit(given.url)
    load = Load(cycle(_requests(url.netloc, url.path, given.key, given.batch)), interval)
    loop = asyncio.get_running_loop()
    for number in range(given.connections):
        delay = (interval or 0.0) * number / given.connections
        await loop.create_connection(lambda delay=delay: Connection(load, delay), url.hostname, url.port)  # type: ignore[misc]
    await asyncio.sleep(WARM_UP_SECONDS)
    first, begin = len(load.seconds), time.perf_counter()
    await asyncio.sleep(given.seconds)
    counted, seconds = load.seconds[first:], time.perf_counter() - begin
    load.ended = True
    quantiles = statistics.quantiles(counted, n=1000)
    figure = {
        "requests": len(counted) / seconds,
        "events": len(counted) * given.batch / seconds,
        "p50_ms": quantiles[499] * 1000,
        "p99_ms": quantiles[989] * 1000,
        "failures": load.failures,
        "sent": len(load.seconds),
    }
    print(json.dumps(figure), flush=True)


def _requests(host: str, path: str, key: str, batch: int) -> list[bytes]:
    """Make requests as an application sends them; the gateway gives the ids."""
    corpus = []
    for event in events(BODIES * min(batch, 10)):
        del event["event_id"]
        corpus.append(encoded(event))
    source = cycle(corpus)
    requests = []
    for _ in range(max(20, BODIES // batch)):
        chosen = list(islice(source, batch))
        body = chosen[0] if batch == 1 else b"[" + b",".join(chosen) + b"]"
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        requests.append(head.encode() + body)
    return requests


if __name__ == "__main__":
    uvloop.run(main())
