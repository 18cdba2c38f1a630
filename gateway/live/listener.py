"""A listener: the server-sent events that wait for one reader, within bounds."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping

from aiokafka import TopicPartition

from gateway.live.positions import Positions, encode_positions
from gateway.live.verdict import Conditions, LiveVerdict
from schemas.topics import Topics

MAX_WAITING = 1_000
"""Events that wait for one reader; what comes beyond is missed, and told."""

MAX_WAITING_BYTES = 2 * 1024 * 1024


class Listener:
    """One reader of the verdicts that meet its conditions.

    `own`: the partitions that the reader still reads by itself, up to where the common reader is; of these nothing is
    taken from there. Beyond MAX_WAITING events or MAX_WAITING_BYTES further ones are missed: the reader is told how
    many, and goes on with the next.
    """

    def __init__(self, conditions: Conditions, topics: Topics, starts: Positions | None = None) -> None:
        self.conditions = conditions
        self.own: set[TopicPartition] = set(starts or ())
        self.positions: Positions | None = starts
        self._topics = topics
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._missed = 0
        self._missed_up_to = ""
        self._filled = asyncio.Event()

    def offer(self, verdict: LiveVerdict, positions: Mapping[TopicPartition, int]) -> None:
        """Take a verdict of the common reader, whose positions after it are these."""
        if self.positions is None:
            event = verdict.common(positions, self._topics) if self._wants(verdict) else None
        elif verdict.tp in self.own or verdict.offset < self.positions.get(verdict.tp, 0):
            return
        else:
            event = self._own_event(verdict)
        if event is not None:
            self._add(*event)

    def read(self, verdict: LiveVerdict) -> bytes:
        """Return the event of a verdict that the reader read by itself; nothing where it is not wanted."""
        event = self._own_event(verdict)
        return event[1] if event else b""

    def begin_at_known(self, known: Mapping[TopicPartition, int]) -> Positions:
        """Forget partitions that are not there, begin others at their start, and return its positions."""
        assert self.positions is not None, "it reads by itself"
        new = {tp: 0 for tp in known if tp not in self.positions}
        self.positions = {tp: offset for tp, offset in self.positions.items() if tp in known} | new
        self.own = (self.own & known.keys()) | new.keys()
        return self.positions

    def miss(self, number: int | None) -> bytes:
        """Return the event that tells of missed ones; None where nobody knows how many."""
        assert self.positions is not None, "it reads by itself"
        return _gap(number, encode_positions(self.positions, self._topics))

    def take(self) -> bytes:
        """Return all that waits, and what was missed after it."""
        taken = b"".join(self._waiting)
        if self._missed:
            taken += _gap(self._missed, self._missed_up_to)
        self._waiting.clear()
        self._bytes = self._missed = 0
        self._filled.clear()
        return taken

    async def wait(self, seconds: float) -> None:
        """Wait until something waits for the reader, at most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._filled.wait()

    def _wants(self, verdict: LiveVerdict) -> bool:
        return verdict.is_new and self.conditions.meet(verdict)

    def _own_event(self, verdict: LiveVerdict) -> tuple[str, bytes] | None:
        """Move the positions of its own beyond a verdict; returns them and the event, None where it is not wanted."""
        assert self.positions is not None, "it began at a position of its own"
        self.positions[verdict.tp] = verdict.offset + 1
        if not self._wants(verdict):
            return None
        position = encode_positions(self.positions, self._topics)
        return position, verdict.frame(position)

    def _add(self, position: str, frame: bytes) -> None:
        if self._missed or len(self._waiting) >= MAX_WAITING or self._bytes + len(frame) > MAX_WAITING_BYTES:
            self._missed += 1
            self._missed_up_to = position
        else:
            self._waiting.append(frame)
            self._bytes += len(frame)
        self._filled.set()


def _gap(number: int | None, position: str) -> bytes:
    return f'event: gap\nid: {position}\ndata: {{"missed":{"null" if number is None else number}}}\n\n'.encode()
