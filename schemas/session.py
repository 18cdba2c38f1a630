"""The summary of a session, updated by verdicts."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from schemas.verdict import Accepted, Verdict

MAX_TYPES = 300
"""Most event types that a summary counts by name, to bound its size; all others count as OTHER_TYPES."""

OTHER_TYPES = "other/other"


class SessionStatus(StrEnum):
    """The state of a session: open while events are expected. A late event opens a closed session again."""

    OPEN = "open"
    CLOSED = "closed"


_OPEN = SessionStatus.OPEN
"""A module constant: looking it up in its class would take a tenth of the time of `add`."""


class SessionSummary(msgspec.Struct, gc=False, omit_defaults=True):
    """The summary of one session; encoded, it is the value of a `sessions` record.

    `revision` grows by one with every change, so of two summaries the newer one is known. `started_at` and `ended_at`
    are the times at which the first and last event occurred, null while all events were rejected. `updated_at` is the
    partition's time at the last event: the latest time of reception so far, of any session. `clock_offset_ms` is how
    far its senders' clock is behind, decided by its first event; absent where its timestamps are taken as sent.
    """

    session_id: str
    applications: list[str]
    revision: int
    status: SessionStatus
    started_at: datetime | None
    ended_at: datetime | None
    event_count: int
    rejected_count: int
    counts_by_type: dict[str, int]
    first_event_id: str | None
    last_event_id: str | None
    updated_at: datetime
    clock_offset_ms: int | None = None

    def add(self, verdict: Verdict, now: datetime) -> None:
        """Update the summary by a verdict on an event of the session; `now` is the partition's time, not a clock's."""
        self.revision += 1
        self.status = _OPEN
        self.updated_at = now
        if verdict.application not in self.applications:
            self.applications.append(verdict.application)
        if not isinstance(verdict, Accepted):
            self.rejected_count += 1
            return
        self.event_count += 1
        event_type = f"{verdict.category}/{verdict.name}"
        if event_type in self.counts_by_type:
            self.counts_by_type[event_type] += 1
        else:
            self._count_new_type(event_type)
        occurred_at = verdict.occurred_at
        if self.started_at is None or occurred_at < self.started_at:
            self.started_at, self.first_event_id = occurred_at, verdict.event_id
        if self.ended_at is None or occurred_at >= self.ended_at:
            self.ended_at, self.last_event_id = occurred_at, verdict.event_id

    def _count_new_type(self, event_type: str) -> None:
        counts = self.counts_by_type
        if len(counts) >= MAX_TYPES:
            event_type = OTHER_TYPES
        counts[event_type] = counts.get(event_type, 0) + 1

    def close(self) -> None:
        """Mark the session as closed: no event came for longer than the gap."""
        self.revision += 1
        self.status = SessionStatus.CLOSED


def new_session(session_id: str, now: datetime, clock_offset_ms: int | None = None) -> SessionSummary:
    """Make the summary of a new session."""
    return SessionSummary(
        session_id=session_id,
        applications=[],
        revision=0,
        status=SessionStatus.OPEN,
        started_at=None,
        ended_at=None,
        event_count=0,
        rejected_count=0,
        counts_by_type={},
        first_event_id=None,
        last_event_id=None,
        updated_at=now,
        clock_offset_ms=clock_offset_ms,
    )


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(SessionSummary)


def encode_session(summary: SessionSummary) -> bytes:
    """Encode a summary as JSON, the value of a `sessions` record."""
    return _encoder.encode(summary)


def decode_session(value: bytes) -> SessionSummary:
    """Decode the value of a `sessions` record. Raises msgspec.DecodeError on anything else."""
    return _decoder.decode(value)
