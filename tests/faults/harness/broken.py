"""Builds of The Eye with a fault in them: a drill that does not fail on one of these proves nothing.

Run as a script in place of `-m eye`: `python tests/faults/harness/broken.py FAULT STAGE`.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, NamedTuple

from stream.runner.chunk import Chunk


def acknowledge() -> None:
    """Make the gateway answer 202 half a second before it hands the events to Kafka or the spool."""
    from gateway.outgoing import Outcome
    from gateway.publish.publisher import Publisher

    publish, later = Publisher.publish, set()

    async def publish_later(self: Publisher, records: Any) -> None:
        await asyncio.sleep(0.5)
        await publish(self, records)

    async def say_yes(self: Publisher, records: Any) -> list[Outcome]:
        task = asyncio.create_task(publish_later(self, records))
        later.add(task)
        task.add_done_callback(later.discard)
        return [Outcome.DURABLE] * len(records)

    Publisher.publish = say_yes  # type: ignore[method-assign]


def fencing() -> None:
    """Each stream worker has transactional ids of its own, and is slow to begin: a former owner is not fenced."""
    checkpoint: Any = importlib.import_module("stream.checkpoint")
    real: Any = checkpoint.AIOKafkaProducer

    class Unfenced(real):  # type: ignore[misc]
        def __init__(self, **options: Any) -> None:
            super().__init__(**options | {"transactional_id": secrets.token_hex(8)})

        async def begin_transaction(self) -> None:
            await asyncio.sleep(1)
            await super().begin_transaction()

    checkpoint.AIOKafkaProducer = Unfenced


def offsets() -> None:
    """Make the stream commit the raw offset before the results, in a transaction of its own."""
    from stream.checkpoint import Checkpoint, Transaction

    real = Checkpoint.transaction

    @asynccontextmanager
    async def transaction(self: Checkpoint, next_offset: int) -> AsyncIterator[Transaction]:
        async with real(self, next_offset):
            pass
        async with real(self, next_offset) as results:
            yield results

    Checkpoint.transaction = transaction  # type: ignore[method-assign]


def duplicates() -> None:
    """Make the stream remember no event_id."""
    from stream.duplicates import RecentEvents

    RecentEvents.add = lambda self, verdict: True  # type: ignore[method-assign]


def order() -> None:
    """Make the stream judge the records of a chunk from the last to the first."""
    from stream.partition import StreamPartition

    process = StreamPartition.process

    async def backwards(self: StreamPartition, chunk: Chunk) -> None:
        await process(self, replace(chunk, records=chunk.records[::-1]))

    StreamPartition.process = backwards  # type: ignore[method-assign]


def positions() -> None:
    """Make the sinks store their position before the rows, in a transaction of its own."""
    from sinks import table_partition
    from sinks.positions import Move, advance_positions
    from sinks.postgres.pool import lend
    from sinks.table_partition import TablePartition

    async def advance(self: Any, connection: Any, chunk: Any, rows: int) -> None:
        sink, topic, partition = self._key
        move = Move(sink, topic, partition, chunk.start, chunk.next_offset, rows)
        async with lend(self._pool) as another:
            await advance_positions(another, [move])

    TablePartition.advance = advance  # type: ignore[method-assign]
    table_partition.MAX_RECORDS = 0  # type: ignore[attr-defined]  # each chunk in a transaction of its own


class Fault(NamedTuple):
    """A defect put into the product in this process, and the drill that has to find it."""

    build_in: Callable[[], None]
    drill: str


FAULTS = {
    "acknowledge": Fault(acknowledge, "gateway-killed"),
    "fencing": Fault(fencing, "stream-frozen"),
    "offsets": Fault(offsets, "all-streams-killed"),
    "duplicates": Fault(duplicates, "calm"),
    "order": Fault(order, "calm"),
    "positions": Fault(positions, "postgres-killed"),
}


def main(fault: str, stage: Sequence[str]) -> None:
    """Break, then be `eye STAGE`; a worker that begins anew stays broken."""
    begin = os.execv
    os.execv = lambda program, _: begin(program, [program, __file__, fault, *stage])
    FAULTS[fault].build_in()
    sys.argv = ["eye", *stage]
    from eye.cli.app import main as eye

    eye()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
