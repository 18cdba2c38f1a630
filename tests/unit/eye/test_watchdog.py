"""The watchdog: tells of a loop that stands still, and of none that is merely busy."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from eye.runtime.watchdog import watch_event_loop


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eye.runtime.watchdog.TICK_SECONDS", 0.01)


async def test_a_loop_that_stands_still_is_told_of_and_where_it_stands(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    told = threading.Event()

    def a_rule_that_never_ends() -> None:
        assert told.wait(30)

    with watch_event_loop(told.set):
        await asyncio.sleep(0)
        a_rule_that_never_ends()

    assert "the event loop has stood still" in caplog.text
    assert "a_rule_that_never_ends" in capfd.readouterr().err


async def test_a_loop_that_is_merely_busy_is_not_told_of() -> None:
    told = threading.Event()

    def work_on_a_chunk() -> None:
        time.sleep(0.01)

    with watch_event_loop(told.set):
        for _ in range(60):
            work_on_a_chunk()
            await asyncio.sleep(0)

    assert not told.is_set()


async def test_the_thread_has_ended_before_the_loop_can() -> None:
    with watch_event_loop(lambda: None):
        await asyncio.sleep(0.02)

    assert "watchdog" not in {thread.name for thread in threading.enumerate()}
