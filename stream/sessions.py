"""The sessions of one partition, updated by each verdict."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime, timedelta

from schemas.session import SessionStatus, SessionSummary, decode_session, encode_session, new_session
from schemas.session_clocks import SessionClocks, clock_offset
from schemas.verdict import Verdict


class SessionBook(SessionClocks):
    """The summaries of a partition's sessions: open ones in memory, closed ones on disk.

    Time is that of the records: the latest reception so far. So a replay opens and closes the same sessions at the
    same records. With a `skew` the first event of a session decides its clock offset, which its summary keeps.
    """

    def __init__(self, gap: timedelta, skew: timedelta | None = None) -> None:
        self._gap = gap
        self._skew = skew
        self._judged: dict[str, SessionSummary] = {}  # of events that are judged, and not applied yet
        self._open: dict[str, SessionSummary] = {}  # in the order they were last touched
        self._closed = _ClosedSessions()
        self._none_idle_until: datetime | None = None
        self.now: datetime | None = None

    def __len__(self) -> int:
        """Return the number of open sessions."""
        return len(self._open)

    def restore(self, summaries: Iterable[SessionSummary]) -> None:
        """Load the latest published summary of each session."""
        by_time = sorted(summaries, key=lambda summary: summary.updated_at)
        self._open = {s.session_id: s for s in by_time if s.status is SessionStatus.OPEN}
        self._closed.keep(s for s in by_time if s.status is SessionStatus.CLOSED)
        if by_time:
            self.now = by_time[-1].updated_at

    def clock_offset(self, session_id: str, sent_at: datetime | None, received_at: datetime) -> int | None:
        """Return a session's offset in milliseconds, decided by this event if it is the first; None without one.

        The decision is kept by the next `apply`, if that has a verdict on an event of the session.
        """
        summary = self._open.get(session_id) or self._judged.get(session_id)
        if summary is None:
            summary = self._closed.find(session_id)
            if summary is None:
                summary = new_session(session_id, received_at, clock_offset(sent_at, received_at, self._skew))
            self._judged[session_id] = summary
        return summary.clock_offset_ms

    def apply(self, verdicts: Iterable[Verdict]) -> dict[str, SessionSummary]:
        """Update the summaries by verdicts, in order; return those that changed, by session_id."""
        changed: dict[str, SessionSummary] = {}
        for verdict in verdicts:
            session_id = verdict.session_id
            if session_id is None:
                continue
            now = self.now
            if now is None or verdict.received_at > now:
                self.now = now = verdict.received_at
            summary = self._open.pop(session_id, None) or self._judged.pop(session_id, None)
            if summary is None:
                summary = self._closed.find(session_id) or new_session(session_id, now)
            summary.add(verdict, now)
            self._open[session_id] = changed[session_id] = summary
            if self._none_idle_until is None or now > self._none_idle_until:
                self._close_idle(changed, now)
        self._judged.clear()
        return changed

    def _close_idle(self, changed: dict[str, SessionSummary], now: datetime) -> None:
        idle = []
        for summary in self._open.values():
            if now - summary.updated_at <= self._gap:
                self._none_idle_until = summary.updated_at + self._gap
                break
            idle.append(summary)
        for summary in idle:
            summary.close()
            changed[summary.session_id] = self._open.pop(summary.session_id)
        if idle:
            self._closed.keep(idle)

    def close(self) -> None:
        """Free the disk space."""
        self._closed.close()


class _ClosedSessions:
    """Summaries of closed sessions, in a temporary SQLite database that ends with the process."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("pragma journal_mode = off")
        self._database.execute("create table closed (session_id text primary key, summary blob) without rowid")
        self._any = False

    def keep(self, summaries: Iterable[SessionSummary]) -> None:
        rows = [(summary.session_id, encode_session(summary)) for summary in summaries]
        self._any = self._any or bool(rows)
        self._database.executemany("insert or replace into closed values (?, ?)", rows)

    def find(self, session_id: str) -> SessionSummary | None:
        if not self._any:
            return None
        row = self._database.execute("select summary from closed where session_id = ?", (session_id,)).fetchone()
        return decode_session(row[0]) if row else None

    def close(self) -> None:
        self._database.close()
