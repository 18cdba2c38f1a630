"""Rows that Postgres refuses for good: found, and out of the way of the others."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TypeVar

import psycopg
from psycopg import AsyncConnection, errors

from schemas.record import log_fields, source_of
from sinks.tables.rows import Refused, Row, event_key, refused_row
from sinks.tables.writers import RejectedWriter, Writer
from stream.runner.chunk import Chunk

log = logging.getLogger(__name__)

R = TypeVar("R", bound=Row)

ALWAYS_SET_ASIDE = 10
"""So many refused records of a chunk are never too many: a chunk may be a single record."""

_LIMITS = (errors.ProgramLimitExceeded, errors.StatementTooComplex)


class TooManyRefused(Exception):
    """So much of a chunk is refused that the records can't be what is wrong; nothing of it is stored."""


class Refusals:
    """What of one chunk is refused, and a bound on it."""

    def __init__(self, chunk: Chunk, share: float) -> None:
        """`share` is the largest share of the chunk's records that may be refused, from 0 to 1."""
        self.refused: list[Refused] = []
        self._chunk = chunk
        self._most = max(ALWAYS_SET_ASIDE, int(share * len(chunk.records)))

    def add(self, *refused: Refused) -> None:
        """Note refused records. Raises TooManyRefused beyond the bound."""
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
    """Tell whether a row is at fault, however often it is tried.

    A partition's constraint is not the row's fault: partitions were changed at that moment, or one is
    missing.
    """
    if isinstance(error, errors.CheckViolation):
        return error.diag.constraint_name is not None
    return isinstance(error, (psycopg.DataError, psycopg.IntegrityError, *_LIMITS))


async def write_what_can_be(
    connection: AsyncConnection, writer: Writer[R], rows: Sequence[R], refusals: Refusals
) -> int:
    """Write rows of which some may be refused: by halves, within savepoints, until those stand alone.

    Notes what was refused, and returns how many rows changed the table. Raises TooManyRefused, and psycopg.Error
    for whatever is not a row's fault.
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
    first = await write_what_can_be(connection, writer, rows[:half], refusals)
    return first + await write_what_can_be(connection, writer, rows[half:], refusals)


async def set_aside(connection: AsyncConnection, refused: Sequence[Refused]) -> None:
    """Store refused records as rejected events, each with its reason."""
    unique = {event_key(row): row for row in map(refused_row, refused)}
    await RejectedWriter().write(connection, list(unique.values()))
    for record, reason in refused:
        log.warning("%s is set aside; its rejected event says why", source_of(record), extra=log_fields(record))
        log.debug("%s is set aside: %s", source_of(record), reason)


async def skip(connection: AsyncConnection, refused: Sequence[Refused]) -> None:
    """Log refused records and store nothing: for summaries, which their session's next one replaces."""
    for record, reason in refused:
        log.error("%s is skipped; its reason is logged at DEBUG", source_of(record), extra=log_fields(record))
        log.debug("%s is skipped: %s", source_of(record), reason)


def _reason(error: psycopg.Error) -> str:
    """Return why a row was refused; the detail of a broken constraint is the row itself, and left out."""
    detail = None if isinstance(error, psycopg.IntegrityError) else error.diag.message_detail
    said = (error.diag.message_primary, detail)
    return ": ".join(part for part in said if part) or str(error)
