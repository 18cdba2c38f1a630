"""Proof of what became of a drill's events, read by independent clients: librdkafka and psycopg."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psycopg

from schemas.settings import Settings
from schemas.topics import topic_names
from tests.e2e.reader import read_committed
from tests.faults.harness.events import Known

Source = tuple[int, int]
"""Partition and offset of a raw record."""


class Found(NamedTuple):
    """An event where it was found: in a topic or a table."""

    event_id: str
    session_id: str
    source: Source
    codes: frozenset[str]


@dataclass
class Proof:
    """The counts of a drill; `wrong` says in sentences what is not as promised, whatever it is.

    An event counts as lost that is missing, or has a verdict that it was not made for, in the topics or in Postgres;
    as doubled, that is there more than once; as out of order, that stands before one it should stand behind.
    """

    sent: int
    acknowledged: int
    validated: int
    rejected: int
    stored: int
    lost_events: set[str] = field(default_factory=set)
    doubled_events: set[str] = field(default_factory=set)
    out_of_order: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Number of events that are lost."""
        return len(self.lost_events)

    @property
    def doubled(self) -> int:
        """Number of events that are stored more than once."""
        return len(self.doubled_events)

    @property
    def holds(self) -> bool:
        """True when everything is as promised."""
        return not self.wrong


def prove(settings: Settings, sent: Sequence[Known]) -> Proof:
    """Hold what was sent against what is in the topics and in Postgres; everything has to have settled."""
    topics = topic_names(settings)
    raw = [_found(message, (message.partition(), message.offset())) for message in read_committed(settings, topics.raw)]
    validated, rejected = (
        [_found(message, _source(message)) for message in read_committed(settings, topic)]
        for topic in (topics.validated, topics.rejected)
    )
    with psycopg.connect(settings.dsn) as connection:
        rows = [*_rows(connection, "events", "'{}'"), *_rows(connection, "rejected_events", "codes")]
        counts = connection.execute("select session_id, event_count, rejected_count from eye.sessions").fetchall()
    proof = Proof(
        sent=len(sent),
        acknowledged=sum(known.acknowledged is not None for known in sent),
        validated=len(validated),
        rejected=len(rejected),
        stored=len(rows),
    )
    judged = [*validated, *rejected]
    _count_each(proof, sent, judged, "in events.validated and events.rejected")
    _count_each(proof, sent, rows, "in Postgres")
    _compare_rows(proof, judged, rows)
    _compare_sessions(proof, rows, {session: (events, faults) for session, events, faults in counts})
    _check_order(proof, sent, raw, (validated, rejected))
    return proof


def unwritten(settings: Settings, sent: Iterable[Known]) -> int:
    """Return how many acknowledged events are not in the raw topic yet: a spool may still hold them."""
    written = {dict(m.headers())["event_id"].decode() for m in read_committed(settings, topic_names(settings).raw)}
    return len({known.event_id for known in sent if known.acknowledged is not None} - written)


def _rows(connection: psycopg.Connection, table: str, codes: str) -> list[Found]:
    query = f"select event_id::text, session_id, source_partition, source_offset, {codes}::text[] from eye.{table}"
    rows = connection.execute(query.encode()).fetchall()
    return [Found(event_id, session, (partition, at), frozenset(c)) for event_id, session, partition, at, c in rows]


def _found(message: Any, source: Source) -> Found:
    headers = dict(message.headers())
    codes = frozenset(headers.get("codes", b"").decode().split(",")) - {""}
    return Found(headers["event_id"].decode(), (message.key() or b"").decode(), source, codes)


def _source(message: Any) -> Source:
    _, partition, offset = dict(message.headers())["source"].decode().rsplit(":", 2)
    assert json.loads(message.value())["event_id"] == dict(message.headers())["event_id"].decode()
    return int(partition), int(offset)


def _count_each(proof: Proof, sent: Sequence[Known], found: Sequence[Found], where: str) -> None:
    """Each acknowledged event once, with the verdict it was made for; each other one at most once."""
    counts = Counter(event.event_id for event in found)
    codes = {event.event_id: event.codes for event in found}
    lost = {known.event_id for known in sent if known.acknowledged is not None} - counts.keys()
    misjudged = {k.event_id for k in sent if k.event_id in counts and codes[k.event_id] != k.codes}
    doubled = {event_id for event_id, count in counts.items() if count > 1}
    strangers = counts.keys() - {known.event_id for known in sent}
    proof.lost_events |= lost | misjudged
    proof.doubled_events |= doubled
    for what, events in (
        ("are lost", lost),
        ("are judged wrongly", misjudged),
        ("are doubled", doubled),
        ("were never sent", strangers),
    ):
        if events:
            proof.wrong.append(f"{len(events)} events {what} {where}")


def _compare_rows(proof: Proof, judged: Iterable[Found], rows: Iterable[Found]) -> None:
    """Check that the tables hold exactly what the topics hold, from the same raw records."""
    sources = {event.event_id: event.source for event in judged}
    stored = {row.event_id: row.source for row in rows}
    missing, made_up = sources.keys() - stored.keys(), stored.keys() - sources.keys()
    moved = [event_id for event_id in sources.keys() & stored.keys() if sources[event_id] != stored[event_id]]
    proof.out_of_order += len(moved)
    for what, number in (
        ("are in the topics, but have no row", len(missing)),
        ("have a row, but are in no topic", len(made_up)),
        ("have a row that names another raw record", len(moved)),
    ):
        if number:
            proof.wrong.append(f"{number} events {what}")


def _compare_sessions(proof: Proof, rows: Iterable[Found], counted: dict[str, tuple[int, int]]) -> None:
    """Check that a session's counts are those of its rows."""
    stored: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        stored[row.session_id][bool(row.codes)] += 1
    differences = [
        count - number
        for session in stored.keys() | counted.keys()
        for count, number in zip(counted.get(session, (0, 0)), stored[session], strict=True)
    ]
    above, below = sum(d for d in differences if d > 0), -sum(d for d in differences if d < 0)
    if above or below:
        proof.wrong.append(f"the sessions count {above} events more and {below} less than there are rows")


def _check_order(proof: Proof, sent: Sequence[Known], raw: Sequence[Found], judged: Iterable[Sequence[Found]]) -> None:
    """No session's order is lost: not between sender and raw record, not between raw record and verdict."""
    first: dict[str, Found] = {}
    for record in raw:
        first.setdefault(record.event_id, record)
    overtaken = late([known for known in sent if known.event_id in first], first)
    misplaced = sum(behind(found) for found in judged)
    proof.out_of_order += overtaken + misplaced
    if overtaken:
        proof.wrong.append(f"{overtaken} raw records stand behind one that was sent after they were acknowledged")
    if misplaced:
        proof.wrong.append(f"{misplaced} verdicts stand behind that of a later raw record")


def late(written: Iterable[Known], raw: dict[str, Found]) -> int:
    """Count the events that were acknowledged before an event in front of them was first sent."""
    latest: dict[str, tuple[int, int]] = {}
    number = 0
    for known in sorted(written, key=lambda known: raw[known.event_id].source):
        assert known.first is not None
        before = latest.get(known.session_id, known.first)
        number += known.acknowledged is not None and known.acknowledged < before
        latest[known.session_id] = max(before, known.first)
    return number


def behind(found: Iterable[Found]) -> int:
    """Count the verdicts whose raw record stands before that of the verdict in front of them."""
    latest: dict[int, int] = {}
    number = 0
    for event in found:
        partition, offset = event.source
        number += offset <= latest.get(partition, -1)
        latest[partition] = max(latest.get(partition, -1), offset)
    return number
