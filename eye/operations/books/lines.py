"""The ledger: counts of received events and of their results, by application and hour."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from eye.operations.books.client_drops import ClientDrops
from eye.operations.spools.states import SpoolStates


@dataclass(slots=True)
class LedgerLine:
    """The events of one application that were received within one hour (UTC)."""

    application: str
    hour: datetime
    received: int = 0
    stored: int = 0
    rejected: int = 0
    duplicate: int = 0
    in_flight: int = 0

    @property
    def difference(self) -> int:
        """Received events that are unaccounted for; negative: rows whose event was never received."""
        return self.received - self.stored - self.rejected - self.duplicate - self.in_flight


class MissingEvent(NamedTuple):
    """A raw record without a result."""

    application: str
    event_id: str
    partition: int
    offset: int


@dataclass(slots=True)
class Ledger:
    """Balance of the events received from `since` to before `until`.

    `doubled` counts second rows of an event; `spooled` are events that gateways acknowledged and that are not in
    the raw topic yet: no line has them. `places` says where those lie, what Kafka refused, and which gateways do not
    answer, so that what their spools hold is not counted. `client_drops` are events that clients say they dropped
    themselves, since the gateways started, so no part of the balance. `foreign` says that raw records
    and rows are of two Kafka clusters.
    """

    since: datetime
    until: datetime
    lines: list[LedgerLine] = field(default_factory=list)
    missing: list[MissingEvent] = field(default_factory=list)
    doubled: int = 0
    places: SpoolStates = field(default_factory=SpoolStates)
    client_drops: list[ClientDrops] = field(default_factory=list)
    foreign: str | None = None

    @property
    def spooled(self) -> int:
        """The events that are known to wait in spools."""
        return sum(spool.records for spool in self.places.spools)

    @property
    def balanced(self) -> bool:
        """True when no line has a difference, and nothing is stored twice."""
        return not self.doubled and not any(line.difference for line in self.lines)

    @property
    def explanations(self) -> list[str]:
        """Sentences that say what the differences mean, and what to do; empty where it balances."""
        lost = sum(max(line.difference, 0) for line in self.lines)
        unknown = sum(max(-line.difference, 0) for line in self.lines)
        said = [] if self.foreign is None else [self.foreign]
        if lost:
            said.append(
                f"{lost:,} events were received and became nothing, neither a row nor a rejected event: `eye trace ID`"
                " shows how far one came, `eye replay --to stream` judges its raw record again"
            )
        if unknown:
            said.append(
                f"{unknown:,} rows have no raw record here: their events came to another Kafka cluster, to a topic that"
                " was deleted since, or by another deployment that writes to this database"
            )
        if self.doubled:
            said.append(
                f"{self.doubled:,} events have a second row, which no process of ours makes: see who else writes"
            )
        return said

    @property
    def total(self) -> LedgerLine:
        """The sum of all lines."""
        total = LedgerLine("", self.since)
        for line in self.lines:
            for name in ("received", "stored", "rejected", "duplicate", "in_flight"):
                setattr(total, name, getattr(total, name) + getattr(line, name))
        return total
