"""Many connections and requests at once: the gateway refuses some, and serves the others."""

from __future__ import annotations

import asyncio
import json
import resource
import zlib
from pathlib import Path

from schemas.settings import Settings
from tests.integration.gateway.hostile.raw_http import (
    EVENT,
    a_gateway_process,
    a_post,
    connect,
    exchange,
    head,
    is_served,
    problem,
    said,
    statuses,
)
from tests.support.pipeline import EyeProcess, an_event
from tests.support.stopwatch import Stopwatch

CONNECTIONS = 2500


# too many, too much


async def test_idle_connections_lock_nobody_out_and_take_little_memory(shared_settings: Settings) -> None:
    with a_gateway_process(shared_settings, 1, max_connections=CONNECTIONS) as process:
        before = memory(process)
        idle = [await connect(process) for _ in range(CONNECTIONS)]

        await is_served(process)
        taken = memory(process) - before

        assert taken / CONNECTIONS < 40_000
        assert await said(idle[0][0]) == b""  # the one that has waited longest made room
        more = [await connect(process) for _ in range(CONNECTIONS // 4)]
        await is_served(process)
        assert open_files(process) < CONNECTIONS + 100
        for _, writer in idle + more:
            writer.close()


def memory(process: EyeProcess) -> int:
    """Return the bytes of memory that a process has."""
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * resource.getpagesize()


def open_files(process: EyeProcess) -> int:
    return len(list(Path(f"/proc/{process.pid}/fd").iterdir()))


async def test_a_low_limit_of_open_files_means_fewer_connections(shared_settings: Settings, tmp_path: Path) -> None:
    with a_gateway_process(shared_settings, 2, max_connections=10_000_000) as process:
        text = process.log.read_text()

    assert "raise the limit (ulimit -Hn), or lower EYE_MAX_CONNECTIONS" in text


async def test_too_much_at_once_is_told_to_retry_and_memory_stays(shared_settings: Settings) -> None:
    batch = json.dumps([an_event(data={"host": "h", "path": "/" + "x" * 4000}) for _ in range(1000)]).encode()
    packed = zlib.compress(batch)
    limit = 8 * 1024 * 1024

    with a_gateway_process(shared_settings, 3, max_bytes_under_way=limit, max_requests_under_way=50) as process:
        before = memory(process)
        slow = [await connect(process) for _ in range(20)]
        for _, writer in slow:  # what is announced takes no room, what has come does
            writer.write(head("POST /events HTTP/1.1", f"Content-Length: {5 * 1024 * 1024}"))

        requests = [
            a_post(batch, "Connection: close"),
            a_post(packed, "Content-Encoding: deflate", "Connection: close"),
        ]
        watch = Stopwatch()
        answers = await asyncio.gather(*(exchange(process, request) for request in requests * 40))
        seconds = watch.seconds
        grown = memory(process) - before
        await is_served(process)
        for _, writer in slow:
            writer.close()

    given = [statuses(answer) for answer in answers]
    assert all(status in ([202], [503], []) for status in given)
    assert given.count([202]) >= 1
    refused = next(answer for answer in answers if b'"overloaded"' in answer)
    assert problem(refused) == (503, "overloaded")
    assert b"Retry-After: 1" in refused
    assert grown < 20 * limit
    assert seconds < 20


async def test_an_application_beyond_its_rate_is_told_when_to_come_again(shared_settings: Settings) -> None:
    file = shared_settings.applications_file
    without = file.read_text()
    with a_gateway_process(shared_settings, 4) as process:
        file.write_text(without.replace('id = "shop"', 'id = "shop"\nrate = 2\nburst = 4'))
        await asyncio.sleep(1.1)  # the file is looked at once a second

        batch = json.dumps([an_event()] * 4).encode()
        first = await exchange(process, a_post(batch, "Connection: close"))
        second = await exchange(process, a_post(EVENT, "Connection: close"))
        judged = await exchange(process, a_post(EVENT, "Connection: close", path="/events/validate"))
        counted = await exchange(process, head("GET /metrics HTTP/1.1", "Connection: close"))
        file.write_text(without)
        await asyncio.sleep(1.1)
        free = await exchange(process, a_post(batch, "Connection: close"))

    assert statuses(first) == [202]
    assert problem(second) == problem(judged) == (429, "rate_limited")
    assert b"Retry-After: 1" in second
    assert b'eye_gateway_rate_limited_total{application="shop"} 2.0' in counted
    assert statuses(free) == [202]


async def test_a_body_that_takes_long_to_read_holds_up_nobody_else(shared_settings: Settings) -> None:
    deep = b'{"session_id": "s", "a": ' + b"[" * 400_000 + b"]" * 400_000 + b"}"

    with a_gateway_process(shared_settings, 5) as process:
        slow = asyncio.create_task(exchange(process, a_post(deep, "Connection: close"), 60))
        served = 0
        while not slow.done():
            await is_served(process)
            served += 1

    assert statuses(slow.result()) == [413]
    assert served > 3
