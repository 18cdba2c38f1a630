"""Find the rows that Postgres refuses for good, and set them aside."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TypeVar

import psycopg
from psycopg import AsyncConnection, errors

from schemas.record import log_fields, source_of
from sinks.tables.corrections import rejected_writer
from sinks.tables.rejected_events import refused_row
from sinks.tables.row import Refused, Row, event_key
from sinks.tables.writer import Writer
from stream.runner.chunk import Chunk

log = logging.getLogger(__name__)

R = TypeVar("R", bound=Row)

ALWAYS_SET_ASIDE = 10
"""Refused records of a chunk that are always accepted, since a chunk may be a single record."""

_LIMITS = (errors.ProgramLimitExceeded, errors.StatementTooComplex)


class TooManyRefused(Exception):
    """Too many records of a chunk are refused for the records to be at fault; nothing of the chunk is stored."""


class Refusals:
    """The refused records of one chunk, up to a limit."""

    def __init__(self, chunk: Chunk, share: float) -> None:
        """Start with none; `share` is the largest share of the chunk's records that may be refused, from 0 to 1."""
        self.refused: list[Refused] = []
        self._chunk = chunk
        self._most = max(ALWAYS_SET_ASIDE, int(share * len(chunk.records)))

    def add(self, *refused: Refused) -> None:
        """Add refused records. Raises TooManyRefused beyond the limit."""
        self.refused.extend(refused)
        if len(self.refused) > self._most:
            chunk = self._chunk
            raise TooManyRefused(
                f"more than {self._most} of the {len(chunk.records)} records from {chunk.topic}:{chunk.partition}:"
                f"{chunk.start} on are refused, so that it is hardly theirs: nothing is stored, and it is tried again."
                f" The last reason: {self.refused[-1].reason}. Mend what refuses them, or have them set aside by a"
                " larger EYE_MAX_REFUSED_SHARE"
            )


def is_refusal(error: psycopg.Error) -> bool:
    """Return whether a row is at fault, so that trying again is useless.

    A broken partition constraint is not the row's fault: partitions were changed at that moment, or one is missing.
    """
    if isinstance(error, errors.CheckViolation):
        return error.diag.constraint_name is not None
    return isinstance(error, (psycopg.DataError, psycopg.IntegrityError, *_LIMITS))


async def write_storable(connection: AsyncConnection, writer: Writer[R], rows: Sequence[R], refusals: Refusals) -> int:
    """Write rows of which some may be refused: in halves, within savepoints, until each refused one is alone.

    Adds these to `refusals`; returns how many rows changed the table. Raises TooManyRefused, and psycopg.Error if no
    row is at fault.
    """
    try:
        async with connection.transaction():
            return await writer.write(connection, rows)
    except psycopg.Error as error:
        if not is_refusal(error):
            raise
        if len(rows) == 1:
            refusals.add(Refused(rows[0].record, _reason(error)))
            return 0
    half = len(rows) // 2
    first = await write_storable(connection, writer, rows[:half], refusals)
    return first + await write_storable(connection, writer, rows[half:], refusals)


async def set_aside(connection: AsyncConnection, refused: Sequence[Refused]) -> None:
    """Store refused records as rejected events, each with its reason."""
    unique = {event_key(row): row for row in map(refused_row, refused)}
    await rejected_writer().write(connection, list(unique.values()))
    for record, reason in refused:
        log.warning("%s is set aside; its rejected event says why", source_of(record), extra=log_fields(record))
        log.debug("%s is set aside: %s", source_of(record), reason)


async def skip(connection: AsyncConnection, refused: Sequence[Refused]) -> None:
    """Log refused records and store nothing: the next summary of a session replaces a skipped one."""
    for record, reason in refused:
        log.error("%s is skipped; its reason is logged at DEBUG", source_of(record), extra=log_fields(record))
        log.debug("%s is skipped: %s", source_of(record), reason)


def _reason(error: psycopg.Error) -> str:
    """Return the reason of a refusal, without the detail of a broken constraint, which is the row itself."""
    detail = None if isinstance(error, psycopg.IntegrityError) else error.diag.message_detail
    said = (error.diag.message_primary, detail)
    return ": ".join(part for part in said if part) or str(error)
