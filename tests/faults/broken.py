"""Builds of The Eye with a fault in them: a drill that does not fail on one of these proves nothing.

Run as a script in place of `-m eye`: `python tests/faults/broken.py FAULT STAGE`.
"""

from __future__ import annotations

import importlib
import os
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def positions() -> None:
    """The sinks' position is not in the transaction of the rows: it is stored before them."""
    from sinks.pool import lend
    from sinks.work import _ADVANCE, TablePartition

    async def store(self: Any, chunk: Any, rows: Any, write: Any) -> Any:
        async with lend(self._pool) as connection:
            await connection.execute(_ADVANCE, (chunk.next_offset, 0, *self._key, chunk.start))
        async with lend(self._pool) as connection, connection.transaction():
            await self._table.set_aside(connection, rows.refused)
            return await write(connection, rows.rows)

    TablePartition._store = store  # type: ignore[method-assign]


def fencing() -> None:
    """Every stream worker writes under transactional ids of its own: a former owner is not fenced."""
    checkpoint: Any = importlib.import_module("stream.checkpoint")
    real = checkpoint.AIOKafkaProducer

    def unfenced(**options: Any) -> Any:
        return real(**options | {"transactional_id": secrets.token_hex(8)})

    checkpoint.AIOKafkaProducer = unfenced


def duplicates() -> None:
    """The stream remembers no event_id."""
    from stream.duplicates import RecentEvents

    RecentEvents.add = lambda self, verdict: True  # type: ignore[method-assign]


FAULTS: Mapping[str, Callable[[], None]] = {fault.__name__: fault for fault in (positions, fencing, duplicates)}


def main(fault: str, stage: Sequence[str]) -> None:
    """Break, then be `eye STAGE`; a worker that begins anew stays broken."""
    begin = os.execv
    os.execv = lambda program, _: begin(program, [program, __file__, fault, *stage])
    FAULTS[fault]()
    sys.argv = ["eye", *stage]
    from eye.command import main as eye

    eye()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
