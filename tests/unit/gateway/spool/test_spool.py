"""The spool: bounded, committed in groups, and never out of order for good."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.metrics import Metrics
from gateway.spool.record import Spooled
from gateway.spool.refused import RefusedRecords
from gateway.spool.segments import Cursor
from gateway.spool.spool import Spool
from schemas.settings import Settings
from schemas.topics import topic_names
from tests.unit.gateway.spool.test_segment import entries, numbered


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(spool_dir=tmp_path / "spool", spool_max_bytes=1_000_000)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def spool(settings: Settings, metrics: Metrics) -> AsyncIterator[Spool]:
    made = Spool(settings, metrics)
    await made.start()
    yield made
    await made.stop()


async def write(spool: Spool, *values: bytes) -> bool:
    room, written = spool.append(entries(*values))
    return room == len(values) and await written


async def take(spool: Spool) -> list[Spooled]:
    return (await spool.read(Cursor(), 0, 1, 1_000_000)).entries


async def test_many_callers_share_a_commit(spool: Spool, metrics: Metrics) -> None:
    assert all(await asyncio.gather(*(write(spool, value) for value in numbered(200))))

    assert metrics.registry.get_sample_value("eye_gateway_spooled_total") == 200
    assert (metrics.registry.get_sample_value("eye_gateway_spool_commit_seconds_count") or 99) < 10
    assert [entry.record.value for entry in await take(spool)] == numbered(200)


async def test_it_takes_no_more_than_it_may(spool: Spool) -> None:
    first = entries(*[b"x" * 100_000] * 20)  # each is in its header as well

    room, written = spool.append(first)

    assert await written
    assert room == 4
    assert spool.bytes <= 1_000_000
    assert spool.append(entries(b"x" * 100_000))[0] == 0
    await spool.settled()
    assert spool.records == room

    spool.remove(await take(spool))
    await spool.settled()
    assert (spool.records, spool.bytes, spool.fault) == (0, 0, None)
    assert await write(spool, b"x" * 100_000)


async def test_after_one_that_does_not_fit_none_is_taken(spool: Spool) -> None:
    room, _ = spool.append(entries(b"1", b"x" * 2_000_000, b"3"))

    assert room == 1


async def test_without_a_directory_nothing_is_promised_until_it_is_there(
    spool: Spool, metrics: Metrics, tmp_path: Path
) -> None:
    (tmp_path / "spool").write_text("a file in its place")

    assert not await write(spool, b"1")
    assert "can't be written" in (spool.fault or "")
    assert metrics.registry.get_sample_value("eye_gateway_spool_write_errors_total") == 1
    (tmp_path / "spool").unlink()

    assert await write(spool, b"2")
    assert spool.fault is None
    assert [entry.record.value for entry in await take(spool)] == [b"2"]


async def test_what_was_not_removed_in_time_is_removed_later(
    spool: Spool, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await write(spool, b"1", b"2")
    found = await take(spool)
    with monkeypatch.context() as patch:
        patch.setattr("gateway.spool.segment.encode", 7)  # a removal that fails, whatever the reason
        spool.remove(found[:1])
        await spool.settled()
    assert (spool.records, await take(spool)) == (2, [])

    await spool.adopt()
    await spool.settled()

    assert spool.records == 1
    assert metrics.registry.get_sample_value("eye_gateway_drained_total") == 1


async def test_the_next_process_goes_on_with_what_is_left(settings: Settings) -> None:
    first = Spool(settings, Metrics())
    await first.start()
    assert await write(first, b"1", b"2")
    await first.stop()

    second = Spool(settings, Metrics())
    await second.start()

    assert (second.records, second.oldest_seconds > 1_000) == (2, True)
    assert [entry.record.value for entry in await take(second)] == [b"1", b"2"]
    await second.stop()


async def test_a_spool_that_is_off_takes_nothing(settings: Settings) -> None:
    spool = Spool(settings.model_copy(update={"spool_max_bytes": 0}), Metrics())
    await spool.start()

    assert spool.append(entries(b"1"))[0] == 0
    assert (spool.enabled, "off" in (spool.fault or "")) == (False, True)
    await spool.stop()


async def test_one_that_is_set_aside_again_is_kept_once(spool: Spool, settings: Settings) -> None:
    await write(spool, b"1", b"2")
    first, second = await take(spool)
    RefusedRecords(settings.spool_directory, topic_names(settings).raw).add([first])  # then the process was killed

    spool.set_aside(first)
    spool.set_aside(second)
    await spool.settled()

    assert (spool.records, spool.refused) == (0, 2)
