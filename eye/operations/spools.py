"""Events in the gateways' spools: acknowledged to their senders, and not in Kafka yet."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass

from eye.operations.gateways import read_gateways
from gateway.spool.segment import Segment
from schemas.settings import Settings
from schemas.topics import topic_names


@dataclass(frozen=True, slots=True)
class SpoolState:
    """Events in one spool; `where` is a gateway's address, or a file that no process works on."""

    where: str
    records: int
    oldest_seconds: float
    abandoned: bool = False


async def read_spools(settings: Settings) -> list[SpoolState]:
    """Return the spools that hold events: those of the gateways that answer, and files that dead ones left here."""
    gateways = [
        SpoolState(state.url, state.spooled_records, state.spool_oldest_seconds)
        for state in await read_gateways(settings)
        if state.reachable and state.spooled_records
    ]
    return [*gateways, *_abandoned(settings)]


def _abandoned(settings: Settings) -> Iterator[SpoolState]:
    """Yield the files on this machine that no process has; they are opened for a moment and left as they are."""
    for path in sorted(settings.spool_directory.glob(f"{topic_names(settings).raw}-*.spool")):
        try:
            file = Segment.claim(path)
            if file is None:
                continue
            records, oldest = file.records, file.oldest() if file.records else None
            file.close()
        except (sqlite3.Error, OSError):
            continue
        if records:
            age = max(0.0, time.time() - oldest / 1000) if oldest is not None else 0.0
            yield SpoolState(str(path), records, age, abandoned=True)
