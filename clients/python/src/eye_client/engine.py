"""The engine of a client: its queues, and the thread that delivers what is in them."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from eye_client import processes
from eye_client.counts import Counts
from eye_client.delivery.batches import Delivery
from eye_client.drops import Drops, Reason
from eye_client.options import Options
from eye_client.queues.memory import MemoryQueue
from eye_client.queues.queue import Queue
from eye_client.results import Result, Status, Violation

if TYPE_CHECKING:
    from eye_client.queues.disk import DiskQueue

log = logging.getLogger(__name__)

TOLD_SECONDS = 60.0
"""The log tells of refused or dropped events at most this often."""

_NEVER = 1 << 62
_IDLE_SECONDS = 30.0
_DISK_SECONDS = 1.0
"""Pause between an idle thread's looks for events that another process left on the disk."""
_ERROR_SECONDS = 1.0
_LOOK_SECONDS = 0.2

OnResult = Callable[[Result], None]


class Engine:
    """Takes events from any thread, and delivers them on a thread of its own, which starts with the first one.

    A forked child begins with empty memory and a thread of its own; what was in memory stays the parent's.
    """

    def __init__(self, options: Options, on_result: OnResult | None = None) -> None:
        self._options = options
        self._on_result = on_result
        self._closed = False
        self._begin()
        processes.register(self)
        if self._disk is not None and self._disk.has_waiting:
            self._start()

    def _begin(self) -> None:
        options = self._options
        self._memory = MemoryQueue(options.queue_events, options.queue_bytes)
        self._disk = _disk_queue(options)
        queues: list[Queue] = [self._memory]
        if self._disk is not None:
            queues.append(self._disk)
        self._drops = Drops()
        self._delivery = Delivery(options, queues, self._drops, self._tell)
        self._statuses: Counter[Status] = Counter()
        self._told_at = float("-inf")
        self._thread: threading.Thread | None = None
        self._starting = threading.RLock()
        self._is_starting = False
        self._make_signals()
        self._wake_at = _NEVER
        self._gathered = 0
        self._hurry = 0
        self._stopping = False
        self._busy = False
        self._steps = 0
        self._paused_until = 0.0

    # what senders call

    def put(self, body: bytes) -> bool:
        """Take an event; False where it was dropped."""
        if self._closed:
            return self.drop(Reason.CLOSED, body)
        disk = self._disk
        if not ((disk is not None and disk.put(body)) or self._memory.put(body)):
            return self.drop(Reason.QUEUE_FULL, body)
        self._gathered += 1
        if self._gathered >= self._wake_at:
            self._wake_at = _NEVER
            self._wakes.put(None)
        if self._thread is None:
            self._start()
        return True

    def drop(self, reason: Reason, body: bytes = b"", errors: tuple[Violation, ...] = ()) -> bool:
        """Count an event that was not taken, and tell of it; returns False."""
        self._drops.add(reason)
        self._tell([Result(Status.DROPPED, body, errors, reason)])
        return False

    def counts(self) -> Counts:
        """Return the numbers of events by result, and of those that wait."""
        refused = self._statuses[Status.INVALID] + self._statuses[Status.TOO_LARGE]
        waiting = len(self._memory) + (len(self._disk) if self._disk is not None else 0)
        return Counts(self._statuses[Status.OK], refused, self._drops.total, waiting)

    def flush(self, timeout: float, *, is_hopeful: bool = True) -> bool:
        """Wait until every event that was taken has its last word; False where that takes longer.

        Unless `is_hopeful`, do not wait for a next attempt that comes after the timeout.
        """
        if threading.current_thread() is self._thread:  # within on_result
            return False
        deadline = time.monotonic() + timeout
        if self._is_done():
            return True
        self._start()
        self._hurry += 1
        self._wakes.put(None)
        try:
            while not self._is_done():
                left = deadline - time.monotonic()
                if left <= 0 or not (is_hopeful or self._paused_until < deadline):
                    return False
                self._wait_for_progress(min(left, _LOOK_SECONDS))
            return True
        finally:
            self._hurry -= 1

    def _wait_for_progress(self, seconds: float) -> None:
        if self._thread is None:  # the interpreter ends, and lets no thread start
            self._delivery.step()
            return
        with self._progress:
            if not self._is_done():
                self._progress.wait(seconds)

    def close(self, timeout: float | None = None) -> bool:
        """Take no more events, wait for those that were taken, and stop; False where some were not delivered.

        These stay on the disk where there is a queue on it, and are dropped where there is none.
        """
        with self._starting:
            if self._closed:
                return True
            self._closed = True
        seconds = self._options.exit_timeout if timeout is None else timeout
        deadline = time.monotonic() + seconds
        done = self.flush(seconds, is_hopeful=False)
        self._stopping = True
        thread = self._thread
        if thread is not None:
            self._wakes.put(None)
            if done and thread is not threading.current_thread():
                thread.join(max(0.5, deadline - time.monotonic()))
        for body in self._memory.abandon():
            if self._disk is None or not self._disk.put(body):
                self.drop(Reason.CLOSED, body)
        if self._disk is not None:
            self._disk.close()
        processes.unregister(self)
        return done

    # what happens around a fork

    def before_fork(self) -> None:
        """Deliver what is in memory, where that is likely to succeed: the parent may be about to end."""
        if len(self._memory) and not self._delivery.is_failing:
            self.flush(self._options.fork_timeout, is_hopeful=False)
        if self._disk is not None:
            self._disk.before_fork()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self._disk is not None:
            self._disk.after_fork()

    def after_fork_in_child(self) -> None:
        """Begin anew: the parent delivers what was in memory, and its connections and files are its own."""
        if self._disk is not None:
            self._disk.leave()
        self._begin()

    # the thread

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None or self._is_starting or self._stopping:
                return
            self._is_starting = True  # a greenlet may get in here while another one is
            try:
                self._thread = self._started()
            finally:
                self._is_starting = False
        if self._thread is not None:
            processes.close_at_end(self)

    def _started(self) -> threading.Thread | None:
        """Start the thread; None where there are too many, or the interpreter ends: the next event tries again."""
        self._make_signals()  # anew: gevent may have patched the process since
        thread = threading.Thread(target=self._run, name="eye-client", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return None
        return thread

    def _make_signals(self) -> None:
        self._progress = threading.Condition()
        # a SimpleQueue, as its put may be interrupted by a signal's handler that sends
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._wait_for_events()
                self._pause(self._step())
                self._delivery.report()
            except Exception:
                log.exception("delivery failed in a way that is not foreseen; it goes on")
                self._pause(_ERROR_SECONDS)
        self._delivery.report(at_once=True)
        self._delivery.close()

    def _step(self) -> float:
        self._steps += 1
        self._busy = True
        try:
            return self._delivery.step()
        finally:
            self._busy = False
            with self._progress:
                self._progress.notify_all()

    def _wait_for_events(self) -> None:
        """Sleep until there is one, and then until there are many, or `linger` is over."""
        self._gathered = 0
        self._wake_at = 1
        if not self._has_waiting() and not self._stopping:
            self._sleep(_IDLE_SECONDS if self._disk is None else _DISK_SECONDS)
        if self._hurry or self._stopping or self._delivery.has_backlog:
            self._wake_at = _NEVER
            return
        self._wake_at = self._options.batch_events
        if self._gathered < self._wake_at:
            self._sleep(self._options.linger)
        self._wake_at = _NEVER

    def _sleep(self, seconds: float) -> None:
        try:
            self._wakes.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return

    def _pause(self, seconds: float) -> None:
        """Let the time of a failure pass, whoever wakes us meanwhile, unless we shall stop."""
        if seconds <= 0:
            return
        self._paused_until = time.monotonic() + seconds
        while not self._stopping and (left := self._paused_until - time.monotonic()) > 0:
            self._sleep(left)

    def _has_waiting(self) -> bool:
        return len(self._memory) > 0 or (self._disk is not None and self._disk.has_waiting)

    def _is_done(self) -> bool:
        """Return whether nothing waits and nothing is under way; a step that begins meanwhile makes it False."""
        before = self._steps
        return not self._has_waiting() and not self._busy and before == self._steps

    def _tell(self, results: Sequence[Result]) -> None:
        for result in results:
            self._statuses[result.status] += 1
            if result.status not in (Status.OK, Status.RETRY):
                self._log(result)
            if self._on_result is not None:
                try:
                    self._on_result(result)
                except Exception:
                    log.exception("on_result failed")

    def _log(self, result: Result) -> None:
        now = time.monotonic()
        if now < self._told_at + TOLD_SECONDS:
            return
        self._told_at = now
        what = "dropped an event: " + result.reason.value if result.reason else "an event was " + result.status.value
        errors = "; ".join(f"{error.code} at {error.path}: {error.message}" for error in result.errors)
        log.warning("%s%s (told once a minute; see `counts`)", what, f" ({errors})" if errors else "")


def _disk_queue(options: Options) -> DiskQueue | None:
    if not options.disk:
        return None
    from eye_client.queues.disk import DiskQueue  # which needs a POSIX system

    return DiskQueue(options.disk, options.disk_bytes)
