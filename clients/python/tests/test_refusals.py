"""A gateway that refuses the client's key or address: people can mend that, and it costs no event."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest
from tests.support.door import Door, Refuse
from tests.support.pipeline import Pipeline
from tests.support.stored import times_stored

from clients.python.tests.sending import KEY, QUICK, first, flushed, views
from eye_client import Eye, Result, Status
from eye_client.queues.disk import DiskQueue


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 405, 415])
async def test_a_wrong_key_or_address_costs_no_event(the_eye: Pipeline, door: Door, status: int) -> None:
    door.conduct = first([Refuse(status)] * 3)
    results: list[Result] = []
    eye = Eye(door.url, KEY, on_result=results.append, **QUICK)
    ids = views(eye, 2, "refused")
    await flushed(eye)

    assert [seen.status for seen in door.seen] == [status] * 3 + [202]
    assert [result.event_id for result in results] == [ids[0], *ids]
    assert [result.status for result in results] == [Status.RETRY, Status.OK, Status.OK]
    assert results[0].errors[0].code == f"http_{status}"
    assert await times_stored(the_eye.settings, ids) == {1: 2}
    await asyncio.to_thread(eye.close)


async def test_a_key_that_the_gateway_learns_later_delivers(
    the_eye: Pipeline, disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = the_eye.settings.applications_file
    eye = Eye(the_eye.gateway.url, "a-later-key", disk=disk, **QUICK)
    ids = views(eye, 10, "later")
    assert not await asyncio.to_thread(eye.flush, 2)
    assert (eye.counts().waiting, eye.counts().dropped) == (10, {})
    assert [record.levelname for record in caplog.records if "refuses us" in record.message] == ["ERROR"]
    digest = hashlib.sha256(b"a-later-key").hexdigest()
    file.write_text(
        f'{file.read_text()}\n[[applications]]\nid = "late"\nkeys = [{{ sha256 = "{digest}", scopes = ["write"] }}]\n'
    )
    await flushed(eye)

    assert await times_stored(the_eye.settings, ids) == {1: 10}
    await asyncio.to_thread(eye.close)


async def test_while_it_is_refused_a_full_queue_drops_the_new(door: Door) -> None:
    door.conduct = lambda: Refuse(401)
    eye = Eye(door.url, KEY, queue_events=5, exit_timeout=0.1, **QUICK)
    ids = views(eye, 8)

    assert (len(ids), eye.counts().dropped) == (5, {"queue_full": 3})
    await asyncio.to_thread(eye.close)


async def test_an_event_that_is_no_json_costs_no_other(the_eye: Pipeline, disk: Path) -> None:
    queue = DiskQueue(disk, 1_000_000)
    queue.put(b'{"event_id":"spoilt"')
    queue.close()
    results: list[Result] = []
    eye = Eye(the_eye.gateway.url, KEY, disk=disk, on_result=results.append, **QUICK)
    ids = views(eye, 20, "spoilt")
    await flushed(eye)

    assert sorted(result.status for result in results) == [Status.INVALID] + [Status.OK] * 20
    assert await times_stored(the_eye.settings, ids) == {1: 20}
    await asyncio.to_thread(eye.close)
