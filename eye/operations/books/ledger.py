"""Balance of events: compare received events with their results.

Each raw record has to be a row, a duplicate of one, or on its way. That is read from the raw topic and from Postgres,
not from the processes' counters.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from aiokafka import TopicPartition
from psycopg import IsolationLevel
from psycopg.conninfo import make_conninfo

from eye.operations.books.client_drops import read_client_drops
from eye.operations.books.lines import Ledger
from eye.operations.books.matching import Matcher
from eye.operations.books.pending_verdicts import read_pending_verdicts
from eye.operations.clusters import foreign_note
from eye.operations.spools.states import read_spool_states
from eye.operations.topics import topic_partitions
from eye.operations.wait_until_stored import judged_positions, read_stored_positions
from postgres_client.connection import Connection, Session
from schemas.settings import Settings
from schemas.topics import topic_names
from stream.runner.kafka_reader import Lookup

DEFAULT_SPAN = timedelta(hours=24)

_CONNECT_SECONDS = 5


_SNAPSHOT = Session(read_only=True, isolation=IsolationLevel.REPEATABLE_READ, statement_ms=0, idle_ms=0)
"""One snapshot, for as long as it takes."""


async def compute_ledger(settings: Settings, since: datetime | None = None, until: datetime | None = None) -> Ledger:
    """Balance what was received from `since` (a day ago) to before `until` (a day ahead), while all goes on.

    What the raw topic no longer holds is left out. Rows and sinks' positions are of one snapshot, taken first; then
    the stream's position; then the verdicts beyond the sinks' positions; the raw topic's end last. So whatever moves
    meanwhile is found in flight. Raises KafkaError, psycopg.Error, TopicMissing.
    """
    now = datetime.now(UTC)
    ledger = Ledger(since or now - DEFAULT_SPAN, until or now + DEFAULT_SPAN)
    topics, partitions = topic_names(settings), await topic_partitions(settings)
    raw, verdicts = partitions[topics.raw], partitions[topics.validated] + partitions[topics.rejected]
    earliest = await _earliest(settings, raw)
    dsn = make_conninfo(settings.dsn, connect_timeout=_CONNECT_SECONDS)
    async with await Connection.connect(dsn, session=_SNAPSHOT) as connection, connection.transaction():
        matcher = Matcher(ledger)
        stored = await read_stored_positions(connection, settings)
        await matcher.add_rows(connection, earliest)
        judged = await judged_positions(settings)
        pending = await read_pending_verdicts(settings, verdicts, stored)
        unexplained = await matcher.add_raw(settings, raw, judged, pending)
        await matcher.classify_unmatched(connection, unexplained, pending)
    ledger.places = await read_spool_states(settings)
    ledger.foreign = await foreign_note(settings)
    ledger.client_drops = await read_client_drops(settings)
    ledger.lines = sorted(matcher.lines.values(), key=lambda line: (line.application, line.hour))
    return ledger


async def _earliest(settings: Settings, raw: Sequence[TopicPartition]) -> dict[int, int]:
    """Return the raw partitions' earliest offsets."""
    async with Lookup(settings) as lookup:
        return {tp.partition: (await lookup.bounds(tp))[0] for tp in raw}
