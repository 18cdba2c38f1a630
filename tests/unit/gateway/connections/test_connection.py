"""A connection of a client: the order of answers, expectations, and its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.unit.gateway.connections.one_connection import EVENT, Door, sample, under


@under(head_seconds=0.05)
async def test_an_empty_line_begins_no_request(door: Door) -> None:
    door.go_on.clear()
    door.connection.data_received(door.post())
    door.connection.data_received(b"")
    door.connection.data_received(b"\r\n")
    door.go_on.set()
    assert await door.answered() == [202]

    await asyncio.sleep(0.1)  # longer than a head may take
    door.connection.data_received(door.post())

    assert await door.answered(2) == [202, 202]


async def test_nothing_received_is_nothing_to_wait_for(door: Door) -> None:
    door.go_on.clear()
    door.connection.data_received(door.post())
    door.connection.data_received(b"")

    assert door.wire.reading


async def test_pipelined_requests_wait_and_are_answered_in_order(door: Door) -> None:
    door.go_on.clear()
    door.connection.data_received(door.post())
    second = door.post(b"{")
    door.connection.data_received(second[:50])
    assert not door.wire.reading
    door.connection.data_received(second[50:] + door.post())
    assert door.statuses == []

    door.go_on.set()

    assert await door.answered(3) == [202, 400, 202]
    assert door.wire.reading


async def test_requests_that_come_all_at_once_are_answered_in_their_order(door: Door) -> None:
    posts = [door.post(EVENT[:-1] + b', "event_id": "p-%d"}' % number) for number in range(100)]

    door.connection.data_received(b"".join(posts) + door.post(b"{"))

    assert await door.answered(101) == [202] * 100 + [400]
    places = [door.wire.answers.index(b'"p-%d"' % number) for number in range(100)]
    assert places == sorted(places)


async def test_a_client_that_goes_before_its_answer_leaves_nothing_behind(door: Door) -> None:
    door.go_on.clear()
    door.connection.data_received(door.post())
    assert sample(door, "eye_gateway_requests_under_way") == 1

    door.connection.connection_lost(None)
    door.go_on.set()

    async with asyncio.timeout(60):
        while sample(door, "eye_gateway_requests_under_way"):  # noqa: ASYNC110 - asked, not told
            await asyncio.sleep(0)
    assert sample(door, "eye_gateway_bytes_under_way") == 0
    assert door.wire.answers == b""


async def test_while_stopping_an_answer_is_the_last_of_its_connection(door: Door) -> None:
    door.go_on.clear()
    door.connection.data_received(door.post())
    door.gateway.clients.closing = True
    draining = asyncio.create_task(door.gateway.admission.drain(2))
    await asyncio.sleep(0)
    assert not draining.done()

    door.go_on.set()

    assert await door.answered() == [202]
    assert b"Connection: close\r\n" in door.wire.answers
    assert door.wire.closed
    await draining


async def test_an_expectation_that_is_not_known_is_417(door: Door) -> None:
    door.connection.data_received(door.post(EVENT, "Expect: miracles"))

    assert await door.answered() == [417]
    assert b"Content-Type: application/problem+json" in door.wire.answers
    assert b"aiohttp" not in door.wire.answers


async def test_the_body_is_asked_for_where_the_head_is_good(door: Door) -> None:
    head, _, body = door.post(EVENT, "Expect: 100-continue").partition(b"\r\n\r\n")
    door.connection.data_received(head + b"\r\n\r\n")
    assert await door.answered() == [100]

    door.connection.data_received(body)

    assert await door.answered(2) == [100, 202]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda head: head.replace(b"Bearer ", b"Bearer x"), 401),
        (lambda head: head.replace(b"Content-Length: ", b"Content-Length: 999999"), 413),
        (lambda head: head.replace(b"application/json", b"image/png"), 415),
    ],
)
async def test_no_body_is_asked_for_where_the_head_is_refused(
    door: Door, change: Callable[[bytes], bytes], status: int
) -> None:
    head = door.post(EVENT, "Expect: 100-continue").partition(b"\r\n\r\n")[0]

    door.connection.data_received(change(head) + b"\r\n\r\n")

    assert await door.answered() == [status]


async def test_tls_on_the_plain_port_is_named_in_the_log(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    door.connection.data_received(bytes.fromhex("16030100c8010000c40303"))

    assert door.wire.closed
    assert "speaks TLS" in caplog.text
    assert sample(door, "eye_gateway_connections_closed_total", reason="tls") == 1
