"""Delivery: one batch at a time, from a queue to the result of each of its events."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from eye_client.delivery.backoff import Backoff
from eye_client.delivery.transport import Answer, Transport, Verdict
from eye_client.drops import Drops
from eye_client.options import Options
from eye_client.queues.queue import Entry, Queue
from eye_client.results import Result, Status, Violation

log = logging.getLogger(__name__)

REPORT_SECONDS = 30.0
"""Shortest time between two reports of dropped events to the gateway."""

_RETRY = "retry"
_TOO_LARGE = 413
_STATUSES = {status.value: status for status in (Status.OK, Status.INVALID, Status.TOO_LARGE)}

Tell = Callable[[Sequence[Result]], None]


class Delivery:
    """Takes events from queues, the first that has some, and sends them. Used by one thread at a time.

    `tell` gets the result of each event.
    """

    def __init__(self, options: Options, queues: Sequence[Queue], drops: Drops, tell: Tell) -> None:
        self._options = options
        self._queues = queues
        self._drops = drops
        self._tell = tell
        self._transport = Transport(options)
        self._backoff = Backoff(options.min_backoff)
        self._is_refused = False
        self._most = options.batch_events
        self._reported_at = float("-inf")
        self.has_backlog = False
        """True when the last batch was so large that more may wait already."""

    @property
    def is_failing(self) -> bool:
        """Return whether the last request has to be repeated."""
        return self._backoff.failures > 0

    def step(self) -> float:
        """Send one batch, if any event waits; returns the seconds to wait before the next one."""
        for queue in self._queues:
            if entries := queue.take(self._most, self._options.batch_bytes):
                return self._send(queue, entries)
        self.has_backlog = False
        return 0.0

    def report(self, *, at_once: bool = False) -> None:
        """Report dropped events to the gateway, where that is due and the gateway is there."""
        dropped = {} if self.is_failing else self._drops.unreported()
        now = time.monotonic()
        if dropped and (at_once or now >= self._reported_at + REPORT_SECONDS):
            self._reported_at = now
            if self._transport.post_report(dropped):
                self._drops.note_reported(dropped)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def _send(self, queue: Queue, entries: Sequence[Entry]) -> float:
        try:
            answer = self._transport.post_events([entry.body for entry in entries])
        except Exception as error:
            log.exception("a request failed in a way that is not foreseen; it is repeated")
            answer = Answer(0, [], 0.0, repr(error))
        size = sum(len(entry.body) for entry in entries)
        self.has_backlog = 2 * len(entries) > self._most or 2 * size > self._options.batch_bytes
        if answer.is_about_the_body and len(entries) > 1:
            self._most = len(entries) // 2
            queue.end([], entries)
            return 0.0
        settled, again, results = _sort(entries, answer)
        queue.end(settled, again)
        if results:
            self._tell(results)
        if answer.verdicts:
            self._is_refused = False
        if again:
            return self._fail(answer, again)
        self._backoff.succeed()
        self._most = min(self._options.batch_events, 2 * self._most)
        return 0.0

    def _fail(self, answer: Answer, again: Sequence[Entry]) -> float:
        if answer.is_refusal:
            self._note_refusal(answer, again[0])
            return self._backoff.fail(self._options.refused_backoff, answer.retry_after)
        pause = self._backoff.fail(self._options.max_backoff, answer.retry_after)
        level = logging.WARNING if self._backoff.failures == 1 else logging.DEBUG
        log.log(level, "%d events are sent again in %.1f s: %s", len(again), pause, answer.detail)
        return pause

    def _note_refusal(self, answer: Answer, oldest: Entry) -> None:
        """Tell once, until the gateway takes events again."""
        if not self._is_refused:
            self._is_refused = True
            log.error(
                "the gateway refuses us, and events wait until it does not (%d: %s)", answer.status, answer.detail
            )
            self._tell([Result(Status.RETRY, oldest.body, (Violation(f"http_{answer.status}", "$", answer.detail),))])


def _sort(entries: Sequence[Entry], answer: Answer) -> tuple[list[Entry], list[Entry], list[Result]]:
    """Return the settled events, those to be sent again, and the results of the settled ones."""
    if not answer.verdicts and not answer.is_about_the_body:
        return [], list(entries), []
    settled, again, results = [], [], []
    verdicts: Sequence[Verdict | None] = answer.verdicts or [None] * len(entries)
    for entry, verdict in zip(entries, verdicts, strict=True):
        if verdict is not None and verdict.status == _RETRY:
            again.append(entry)
        else:
            settled.append(entry)
            results.append(_last_word(entry, verdict, answer))
    return settled, again, results


def _last_word(entry: Entry, verdict: Verdict | None, answer: Answer) -> Result:
    if verdict is not None:
        return Result(_STATUSES.get(verdict.status, Status.INVALID), entry.body, verdict.errors)
    if answer.status == _TOO_LARGE:
        return Result(Status.TOO_LARGE, entry.body, (Violation("too_large", "$", answer.detail),))
    return Result(Status.INVALID, entry.body, (Violation(answer.code, "$", answer.detail),))
