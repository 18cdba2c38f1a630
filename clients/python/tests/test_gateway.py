"""The client against the gateway: what was taken is stored once, whatever the way and the gateway do."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from tests.support.door import Break, Door, LoseAnswer, Pass, Refuse
from tests.support.pipeline import Pipeline
from tests.support.stored import rows_of, times_stored

from clients.python.tests.sending import FLUSH_SECONDS, KEY, QUICK, SLOW_KEY, first, flushed, view, views
from eye_client import AsyncEye, Eye, Result, Status
from eye_client.delivery.transport import seconds_of
from schemas.event_types.page_interaction import Pageview


async def test_each_event_is_stored_once_with_its_fields(the_eye: Pipeline) -> None:
    results: list[Result] = []
    with Eye(the_eye.gateway.url, KEY, on_result=results.append, **QUICK) as eye:
        ids = views(eye, 2_500, "fields")
        with_fields = view(eye, "fields", user_id="u-1", context={"page": {"title": "Home"}})
        model = eye.send_model(Pageview(host="www.example.com", path="/model"), "fields")
        await flushed(eye)
        assert (eye.counts().ok, eye.counts().waiting) == (2_502, 0)

    assert await times_stored(the_eye.settings, ids) == {1: 2_500}
    assert [result.event_id for result in results] == [*ids, with_fields, model]
    assert {result.status for result in results} == {Status.OK}
    row, of_model = await rows_of(the_eye.settings, [str(with_fields), str(model)])
    assert (row["user_id"], row["context"], row["application"]) == ("u-1", {"page": {"title": "Home"}}, "shop")
    assert of_model["data"] == {"host": "www.example.com", "path": "/model"}


async def test_asyncio_has_the_same_and_results_on_its_loop(the_eye: Pipeline) -> None:
    loops: list[asyncio.AbstractEventLoop] = []
    on_result = lambda _: loops.append(asyncio.get_running_loop())  # noqa: E731
    async with AsyncEye(the_eye.gateway.url, KEY, on_result=on_result, **QUICK) as eye:
        ids = views(eye, 100, "asyncio")
        assert await eye.flush(FLUSH_SECONDS)

    assert await times_stored(the_eye.settings, ids) == {1: 100}
    assert loops == [asyncio.get_running_loop()] * 100


async def test_a_gateway_that_is_away_costs_no_event(
    the_eye: Pipeline, pytestconfig: pytest.Config, disk: Path
) -> None:
    away: float = pytestconfig.getoption("--away-seconds")
    eye, on_disk = Eye(the_eye.gateway.url, KEY, **QUICK), Eye(the_eye.gateway.url, KEY, disk=disk, **QUICK)
    ids = views(eye, 100, "away") + views(on_disk, 100, "away")
    the_eye.gateway.kill()
    until = asyncio.get_running_loop().time() + away
    while asyncio.get_running_loop().time() < until:
        ids += views(eye, 10, "away") + views(on_disk, 10, "away")
        await asyncio.sleep(0.02)
    the_eye.gateway.start()
    await flushed(eye)
    await flushed(on_disk)

    assert await times_stored(the_eye.settings, ids) == {1: len(ids)}
    assert eye.close()
    assert on_disk.close()


async def test_lost_answers_and_broken_requests_add_nothing(the_eye: Pipeline, door: Door) -> None:
    door.conduct = first([LoseAnswer(), Break(), Refuse(500), Refuse(408), LoseAnswer(), Refuse(503, "0")] * 2)
    eye = Eye(door.url, KEY, **QUICK)
    ids = views(eye, 300, "lost")
    await flushed(eye)

    assert await times_stored(the_eye.settings, ids) == {1: 300}
    assert await asyncio.to_thread(eye.close)


async def test_a_storm_of_429_delivers_everything_in_time(the_eye: Pipeline) -> None:
    eye = Eye(the_eye.gateway.url, SLOW_KEY, batch_events=150, **QUICK)
    ids = views(eye, 900, "storm")
    await flushed(eye)

    assert await times_stored(the_eye.settings, ids) == {1: 900}
    assert eye.counts().dropped == {}
    assert await asyncio.to_thread(eye.close)


async def test_retry_after_is_waited_for(the_eye: Pipeline, door: Door) -> None:
    door.conduct = first([Refuse(429, "1"), Refuse(503, "1")])
    eye = Eye(door.url, KEY, **QUICK)
    view(eye, "retry-after")
    await flushed(eye)

    begun, again, last = (seen.at for seen in door.seen)
    assert again - begun >= 1
    assert last - again >= 1
    await asyncio.to_thread(eye.close)


async def test_a_request_that_is_too_large_is_sent_in_parts(the_eye: Pipeline, door: Door) -> None:
    door.conduct = first([Refuse(413)] * 3)
    eye = Eye(door.url, KEY, **QUICK)
    ids = views(eye, 80, "parts")
    await flushed(eye)

    assert await times_stored(the_eye.settings, ids) == {1: 80}
    assert eye.counts().dropped == {}
    await asyncio.to_thread(eye.close)


async def test_a_bad_event_costs_no_other(the_eye: Pipeline) -> None:
    results: dict[str | None, Result] = {}
    eye = Eye(the_eye.gateway.url, KEY, on_result=lambda result: results.update({result.event_id: result}), **QUICK)
    good = views(eye, 3, "bad")
    bad, large = view(eye, ""), eye.send("page interaction", "pageview", "bad", {"path": "x" * 70_000})
    good += views(eye, 3, "bad")
    await flushed(eye)

    assert [results[event_id].status for event_id in (*good, bad, large)] == [
        *[Status.OK] * 6,
        Status.INVALID,
        Status.TOO_LARGE,
    ]
    assert results[bad].errors[0].path == "$.session_id"
    assert await times_stored(the_eye.settings, good) == {1: 6}
    await asyncio.to_thread(eye.close)


async def test_an_answer_of_somebody_else_is_no_verdict(the_eye: Pipeline, door: Door) -> None:
    door.conduct = first([Refuse(200), Refuse(204)])
    eye = Eye(door.url, KEY, **QUICK)
    ids = views(eye, 1, "portal")
    await flushed(eye)

    assert await times_stored(the_eye.settings, ids) == {1: 1}
    await asyncio.to_thread(eye.close)


async def test_events_go_in_batches_compressed_with_our_clock(the_eye: Pipeline, door: Door) -> None:
    eye = Eye(door.url, KEY, batch_events=100, linger=0.2)
    views(eye, 250, "batches")
    await flushed(eye)

    assert [len(seen.events) for seen in door.seen] == [100, 100, 50]
    assert {seen.headers["Content-Encoding"] for seen in door.seen} == {"gzip"}
    await asyncio.to_thread(eye.close)


async def test_a_full_queue_keeps_what_it_took(the_eye: Pipeline, door: Door) -> None:
    door.conduct = Break
    eye = Eye(door.url, KEY, queue_events=50, **QUICK)
    ids = views(eye, 80, "full")
    assert (len(ids), eye.counts().dropped) == (50, {"queue_full": 30})
    door.conduct = Pass
    await flushed(eye)

    assert await times_stored(the_eye.settings, ids) == {1: 50}
    await asyncio.to_thread(eye.close)


async def test_a_disk_queue_is_delivered_by_the_next_process(the_eye: Pipeline, door: Door, disk: Path) -> None:
    door.conduct = Break
    ended = Eye(door.url, KEY, disk=disk, exit_timeout=0.1, **QUICK)
    ids = views(ended, 50, "next")
    assert not await asyncio.to_thread(ended.close)
    with Eye(the_eye.gateway.url, KEY, disk=disk, **QUICK) as following:
        await flushed(following)
        assert following.counts().ok == 50

    assert await times_stored(the_eye.settings, ids) == {1: 50}


async def test_closing_drops_what_was_not_delivered(door: Door) -> None:
    door.conduct = Break
    eye = Eye(door.url, KEY, exit_timeout=0.1, **QUICK)
    views(eye, 5)

    assert not await asyncio.to_thread(eye.close)
    assert view(eye) is None
    assert eye.counts().dropped == {"closed": 6}


async def test_closing_does_not_wait_for_a_far_attempt(door: Door) -> None:
    door.conduct = lambda: Refuse(503, "3600")
    eye = Eye(door.url, KEY, exit_timeout=60, **QUICK)
    view(eye)
    while not door.seen:  # noqa: ASYNC110 - the door tells nobody
        await asyncio.sleep(0.01)
    begun = asyncio.get_running_loop().time()
    await asyncio.to_thread(eye.close)

    assert asyncio.get_running_loop().time() - begun < 5


async def test_a_callback_that_raises_stops_nothing(the_eye: Pipeline) -> None:
    def fail(_: Result) -> None:
        raise RuntimeError("a bug of the application")

    eye = Eye(the_eye.gateway.url, KEY, on_result=fail, **QUICK)
    ids = views(eye, 1, "callback")
    await flushed(eye)
    ids += views(eye, 1, "callback")
    await flushed(eye)

    assert await times_stored(the_eye.settings, ids) == {1: 2}
    await asyncio.to_thread(eye.close)


async def test_the_gateway_learns_what_was_dropped(the_eye: Pipeline) -> None:
    with Eye(the_eye.gateway.url, KEY, linger=1.0) as eye:
        for _ in range(3):
            assert eye.send("page interaction", "pageview", "dropped", {"path": object()}) is None
        view(eye, "dropped")

    async with ClientSession() as client, client.get(f"{the_eye.gateway.url}/metrics") as answer:
        page = await answer.text()
    assert 'eye_gateway_client_dropped_total{application="shop",reason="not_json"} 3.0' in page


async def test_log_records_become_events(the_eye: Pipeline, fake_eye: Any) -> None:
    from eye_client import EyeHandler

    logger = logging.Logger("shop.basket")
    logger.addHandler(EyeHandler(fake_eye, session_id="backend"))
    logger.info("not told")
    logger.warning("basket %s is empty", 7)
    try:
        json.loads("{")
    except ValueError:
        logger.exception("no basket")

    [warning] = fake_eye.of("log", "warning")
    [error] = fake_eye.of("log", "error")
    assert warning == {"logger": "shop.basket", "message": "basket 7 is empty"}
    assert (error["exception"], "Traceback" in error["traceback"]) == ("JSONDecodeError", True)


def test_retry_after_may_be_a_date_or_nonsense() -> None:
    assert seconds_of("2") == 2
    assert seconds_of("Fri, 27 Nov 2099 19:13:29 GMT") >= 8
    assert [seconds_of(text) for text in (None, "", "soon", "-1", "nan", "Fri, 27 Nov 2000 19:13:29 GMT")] == [0] * 6
