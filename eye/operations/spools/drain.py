"""Draining of what dead gateways left: their spooled records go to Kafka as a gateway would have sent them.

In order within each partition, with headers as they came. The files are locked meanwhile, so that no
gateway and no second drain works on them; each record leaves its file after Kafka's acknowledgement alone. Records that
Kafka got just before their process died are found in the raw topic, and are not sent again: the stream's duplicate
window may have forgotten them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from eye.operations.rights import explain
from eye.operations.spools.errors import SpoolError
from eye.operations.spools.lock import sending_alone
from eye.operations.spools.sending import Link, find_copies, identity_of, linked
from eye.operations.spools.survey import Survey, survey_directory
from gateway.metrics import Metrics
from gateway.publish.partition_queues import PartitionQueues
from gateway.spool.segments import Cursor, Piece
from gateway.spool.spool import Spool
from schemas.settings import Settings
from schemas.topics import topic_names

STALLED_SECONDS = 30.0
"""For so long Kafka, or the disk, may take nothing before draining gives up; what is left can be drained later."""

COPIES_BYTES = 1024 * 1024
"""Bytes of a partition's oldest records that are looked for in Kafka at once: what can be under way in a gateway."""

_POLL_SECONDS = 0.1
_ADOPT_SECONDS = 3.0
_STOP_SECONDS = 2.0

Progress = Callable[[int, int], None]
"""Called with the number of records that have left the spool, and of all that were there."""


@dataclass(frozen=True, slots=True)
class Drained:
    """Records that were there, those among them that were sent, that Kafka had already, and that it refused.

    `left` are in files still, `damaged` can't be read; `set_aside` counts all refused records of the directory.
    """

    records: int
    sent: int
    copies: int
    refused: int
    left: int
    damaged: int
    set_aside: int

    @property
    def complete(self) -> bool:
        """True when nothing that was acknowledged is left in the directory."""
        return not (self.left or self.damaged or self.set_aside)


def check_unowned(settings: Settings, survey: Survey) -> None:
    """Raise SpoolError when a living process has a file of this deployment, or none of the dead ones can be read."""
    topic = topic_names(settings).raw
    owners = sorted({file.owner for file in survey.files if file.alive and file.topic == topic})
    if owners:
        raise SpoolError(
            f"{'; '.join(owners)} has files in {survey.directory} and lives: a gateway sends what lies there by itself"
        )
    faults = [f"{file.path.name}: {file.fault}" for file in survey.left if file.fault]
    if faults:
        raise SpoolError(f"{survey.directory} can't be drained as this user: {'; '.join(faults)}")


async def drain_spool(settings: Settings, progress: Progress = lambda done, of: None) -> Drained:
    """Send what dead gateways left in the settings' spool directory; safe to repeat, and to end at any moment.

    Raises SpoolError, with what is left in the message, when Kafka takes nothing for STALLED_SECONDS.
    """
    check_unowned(settings, survey_directory(settings.spool_directory))
    with sending_alone(settings.spool_directory):
        return await _drain_all(settings, progress)


async def _drain_all(settings: Settings, progress: Progress) -> Drained:
    async with _adopted(settings) as spool:
        found, before = spool.records, spool.refused
        copies = 0
        if found:
            async with linked(settings) as link:
                copies = await _remove_copies(settings, spool, link.partitions)
                await _drain(settings, spool, link, found, progress)
        refused = spool.refused - before
        return Drained(
            records=found,
            sent=found - copies - refused - spool.records - spool.damaged,
            copies=copies,
            refused=refused,
            left=spool.records,
            damaged=spool.damaged,
            set_aside=spool.refused,
        )


@asynccontextmanager
async def _adopted(settings: Settings) -> AsyncIterator[Spool]:
    """Lend the spool with the files that no living process has."""
    spool = Spool(settings, Metrics())
    await spool.start()
    try:
        yield spool
    finally:
        await spool.stop()


async def _remove_copies(settings: Settings, spool: Spool, partitions: int) -> int:
    """Take records out of the spool that Kafka has already; returns their number.

    They are the oldest of their partition. Where a whole piece of those is none, none behind it is.
    """
    removed = 0
    cursors = dict.fromkeys(range(partitions), Cursor())
    while cursors:
        pieces = {p: await _first_piece(spool, cursor, p, partitions) for p, cursor in cursors.items()}
        found = await find_copies(settings, [e.record for piece in pieces.values() for e in piece.entries], partitions)
        cursors = {}
        for partition, piece in pieces.items():
            copies = [entry for entry in piece.entries if identity_of(entry.record) in found]
            spool.remove(copies)
            spool.release([entry for entry in piece.entries if identity_of(entry.record) not in found])
            removed += len(copies)
            if copies and not piece.is_last:
                cursors[partition] = piece.cursor
        await spool.settled()
    return removed


async def _first_piece(spool: Spool, cursor: Cursor, partition: int, partitions: int) -> Piece:
    """Lease the oldest records of a partition behind the cursor."""
    piece = await spool.read(cursor, partition, partitions, COPIES_BYTES)
    while not piece.entries and not piece.is_last:
        piece = await spool.read(piece.cursor, partition, partitions, COPIES_BYTES)
    return piece


async def _drain(settings: Settings, spool: Spool, link: Link, total: int, progress: Progress) -> None:
    """Let the gateway's own queues send all of it."""
    topic = topic_names(settings).raw
    queues = PartitionQueues(topic, link.connection, link.sender, spool, settings.spool_after_seconds)
    tasks = [asyncio.create_task(queues.monitor()), asyncio.create_task(_keep_noting(spool))]
    try:
        await _until_empty(spool, link, total, progress)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await queues.stop(_STOP_SECONDS)
        with suppress(asyncio.CancelledError):
            await spool.settled()


async def _until_empty(spool: Spool, link: Link, total: int, progress: Progress) -> None:
    clock = asyncio.get_running_loop().time
    least, moved_at = spool.records, clock()
    while spool.records:
        progress(total - spool.records, total)
        await asyncio.sleep(_POLL_SECONDS)
        if spool.records < least:
            least, moved_at = spool.records, clock()
        if clock() - moved_at > STALLED_SECONDS:
            left = f"{spool.records:,} events of {total:,} are left"
            raise SpoolError(f"{left}, run it again when this is mended: {_hindrance(spool, link)}")
    progress(total, total)


def _hindrance(spool: Spool, link: Link) -> str:
    refusal = link.connection.refusal
    if isinstance(refusal, Exception):
        return explain(refusal)
    return spool.fault or link.connection.fault or "Kafka does not acknowledge"


async def _keep_noting(spool: Spool) -> None:
    """Try notes again that could not be written."""
    while True:
        await asyncio.sleep(_ADOPT_SECONDS)
        await spool.adopt()
