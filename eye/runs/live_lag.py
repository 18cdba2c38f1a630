"""Lag of the live stream and sinks, for which a replay waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

from aiokafka import TopicPartition

from eye.operations.topics import topic_partitions
from eye.operations.wait_until_stored import judged_positions, read_stored_positions
from schemas.settings import Settings
from schemas.topics import topic_names
from sinks.postgres.pool import Pool, lend
from stream.runner.kafka_reader import Lookup

MOST_LAG = 1.0
"""Default lag, in seconds, of the live events from which a replay waits for them."""

_CHECK_SECONDS = 1.0
_POLL_SECONDS = 0.5
_STANDS_STILL_SECONDS = 5.0
"""A partition whose position has not moved for so long is one that nobody works on: no replay waits for it."""


class LiveLag:
    """Tells whether the stream and the sinks keep up: nothing they have not done yet is older than `most_lag` seconds.

    `lookup` is its own, to read single records beside the replay; `on_wait` is called with True when a wait begins and
    False at its end.
    """

    def __init__(
        self, settings: Settings, lookup: Lookup, pool: Pool, most_lag: float, on_wait: Callable[[bool], None]
    ) -> None:
        self._settings, self._lookup, self._pool, self._on_wait = settings, lookup, pool, on_wait
        self._most_lag = timedelta(seconds=most_lag)
        self._stages: dict[TopicPartition, _Stage] = {}
        self._checked_at = -_CHECK_SECONDS

    async def wait_until_low(self) -> None:
        """Wait while the live pipeline is behind and moves. Raises KafkaError, psycopg.Error."""
        if not self._most_lag or time.monotonic() - self._checked_at < _CHECK_SECONDS:
            return
        waits = False
        try:
            while await self._is_behind():
                if not waits:
                    self._on_wait(waits := True)
                await asyncio.sleep(_POLL_SECONDS)
        finally:
            if waits:
                self._on_wait(False)
        self._checked_at = time.monotonic()

    async def _is_behind(self) -> bool:
        """Tell whether there is an old record in front of a position that moves."""
        await self._read_positions()
        due = await self._lookup.offsets_at(self._stages, datetime.now(UTC) - self._most_lag)
        for tp, stage in self._stages.items():
            if stage.moves and stage.reached < due[tp] and await self._any_record(tp, stage, due[tp]):
                return True
        return False

    async def _read_positions(self) -> None:
        if not self._stages:
            topics = topic_names(self._settings)
            found = await topic_partitions(self._settings)
            read = (topics.raw, topics.validated, topics.rejected, topics.sessions)
            self._stages = {tp: _Stage() for topic in read for tp in found[topic]}
        async with lend(self._pool) as connection:
            stored = await read_stored_positions(connection, self._settings)
        positions = {**await judged_positions(self._settings), **stored}
        for tp, stage in self._stages.items():
            stage.is_at(positions.get(tp, 0))

    async def _any_record(self, tp: TopicPartition, stage: _Stage, end: int) -> bool:
        """Tell whether there is a record; the markers of transactions, behind which a position may stay, are none."""
        async with aclosing(self._lookup.chunks(tp, stage.reached, end, most=1)) as chunks:
            try:
                async for chunk in chunks:
                    if chunk.records:
                        return True
            except LookupError:  # the live pipeline waits for the end of a transaction, too
                return True
        stage.empty_up_to = end
        return False


class _Stage:
    """Position of the live pipeline in one partition."""

    def __init__(self) -> None:
        self._position, self._since = -1, 0.0
        self.empty_up_to = 0

    def is_at(self, position: int) -> None:
        """Note a position."""
        if position != self._position:
            self._position, self._since = position, time.monotonic()

    @property
    def moves(self) -> bool:
        """True when the position has moved lately."""
        return time.monotonic() - self._since < _STANDS_STILL_SECONDS

    @property
    def reached(self) -> int:
        """Up to where there is nothing left to do."""
        return max(self._position, self.empty_up_to)
