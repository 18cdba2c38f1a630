"""Rows that Postgres refuses for good: found, and out of the way of the others."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TypeVar

import psycopg
from psycopg import AsyncConnection, errors

from sinks.rows import Refused, Row, event_key, refused_row
from sinks.writer import RejectedWriter, Writer

log = logging.getLogger(__name__)

R = TypeVar("R", bound=Row)

_LIMITS = (errors.ProgramLimitExceeded, errors.StatementTooComplex)


def is_refusal(error: psycopg.Error) -> bool:
    """Tell whether a row is at fault, however often it is tried.

    A partition's constraint is not the row's fault: partitions were changed at that moment, or one is
    missing.
    """
    if isinstance(error, errors.CheckViolation):
        return error.diag.constraint_name is not None
    return isinstance(error, (psycopg.DataError, psycopg.IntegrityError, *_LIMITS))


async def write_what_can_be(
    connection: AsyncConnection, writer: Writer[R], rows: Sequence[R]
) -> tuple[int, list[Refused]]:
    """Write rows of which some may be refused: by halves, within savepoints, until those stand alone.

    Returns how many rows changed the table, and what was refused. Raises psycopg.Error for whatever is
    not a row's fault.
    """
    try:
        async with connection.transaction():
            return await writer.write(connection, rows), []
    except psycopg.Error as error:
        if not is_refusal(error):
            raise
        if len(rows) == 1:
            return 0, [Refused(rows[0].record, _reason(error))]
    half = len(rows) // 2
    first_count, first_refused = await write_what_can_be(connection, writer, rows[:half])
    second_count, second_refused = await write_what_can_be(connection, writer, rows[half:])
    return first_count + second_count, first_refused + second_refused


async def set_aside(connection: AsyncConnection, refused: Sequence[Refused]) -> None:
    """Store refused records as rejected events, each with its reason."""
    unique = {event_key(row): row for row in map(refused_row, refused)}
    await RejectedWriter().write(connection, list(unique.values()))
    for record, reason in refused:
        log.warning("%s:%d:%d is set aside: %s", record.topic, record.partition, record.offset, reason)


async def skip(connection: AsyncConnection, refused: Sequence[Refused]) -> None:
    """Log refused records and store nothing: for summaries, which their session's next one replaces."""
    for record, reason in refused:
        log.error("%s:%d:%d is skipped: %s", record.topic, record.partition, record.offset, reason)


def _reason(error: psycopg.Error) -> str:
    said = (error.diag.message_primary, error.diag.message_detail)
    return ": ".join(part for part in said if part) or str(error)
