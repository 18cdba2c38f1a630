"""A thread that notices when the event loop stands still, which nothing in the loop itself could."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
BLOCKED_TICKS = 25
"""After so many unanswered ticks the loop counts as blocked. They are the thread's own, so that a process that
was paused and goes on is not taken for one that hangs."""


@contextmanager
def watch_event_loop(blocked: Callable[[], None]) -> Iterator[None]:
    """Watch the running loop, and call `blocked` in another thread when it stands still.

    Where every thread stands is on stderr by then: most likely one is in the rule of an event type.
    """
    loop, done = asyncio.get_running_loop(), threading.Event()
    thread = threading.Thread(target=_watch, args=(loop, done, blocked), name="watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()  # before the loop closes, which a late tick could not be put to


def _watch(loop: asyncio.AbstractEventLoop, done: threading.Event, blocked: Callable[[], None]) -> None:
    answered = threading.Event()
    answered.set()
    unanswered = 0
    while not done.wait(TICK_SECONDS):
        if answered.is_set():
            answered.clear()
            unanswered = 0
            loop.call_soon_threadsafe(answered.set)
            continue
        unanswered += 1
        if unanswered == BLOCKED_TICKS:
            log.error("the event loop has stood still for %.0f s", unanswered * TICK_SECONDS)
            faulthandler.dump_traceback()
            blocked()
