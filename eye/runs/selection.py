"""Selection of the records to replay or redrive."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from schemas.record import APPLICATION, CATEGORY, NAME, RawRecord, open_envelope
from schemas.session import decode_session

RAW, VALIDATED, REJECTED, SESSIONS = "events.raw", "events.validated", "events.rejected", "sessions"


class Selection(msgspec.Struct, frozen=True, omit_defaults=True):
    """Records of these topics that meet every given condition.

    `topics` are named without a prefix. Offsets and times go from the first, inclusive, to the last, exclusive. An
    event's time is that of its reception, a session's that of its latest event. With `all` there is no condition.
    """

    topics: tuple[str, ...]
    all: bool = False
    partitions: tuple[int, ...] | None = None
    from_offset: int | None = None
    to_offset: int | None = None
    from_time: datetime | None = None
    to_time: datetime | None = None
    application: str | None = None
    session: str | None = None
    category: str | None = None
    name: str | None = None
    code: str | None = None

    @property
    def takes_every_record(self) -> bool:
        """True when no record of the partitions is left out."""
        return self.conditions == []

    @property
    def conditions(self) -> Sequence[str]:
        """The fields that are read from a record's value."""
        fields = ("from_time", "to_time", "application", "session", "category", "name")
        return [field for field in fields if getattr(self, field) is not None]

    def __str__(self) -> str:
        given = {field: getattr(self, field) for field in self.__struct_fields__[2:]}
        said = [f"{field.replace('_', ' ')} {value}" for field, value in given.items() if value is not None]
        return ", ".join([" + ".join(self.topics), *(said or ["all of it"])])

    def matches(self, record: RawRecord, topic: str) -> bool:
        """Tell whether a record of one of the topics is selected, apart from its offset."""
        if self.takes_every_record:
            return True
        if self.session is not None and record.key != self.session.encode():
            return False
        return self._matches_session(record) if topic == SESSIONS else self._matches_event(record)

    def _matches_event(self, record: RawRecord) -> bool:
        headers = dict(record.headers)
        if self.application is not None and headers.get(APPLICATION, b"") != self.application.encode():
            return False
        if (self.from_time or self.to_time) and not self._in_time(open_envelope(record).received_at):
            return False
        if self.category is None and self.name is None:
            return True
        category, name = _type_of(record, headers)
        return self.category in (None, category) and self.name in (None, name)

    def _matches_session(self, record: RawRecord) -> bool:
        if record.value is None:
            return False
        summary = decode_session(record.value)
        return self._in_time(summary.updated_at) and self.application in (None, *summary.applications)

    def _in_time(self, moment: datetime) -> bool:
        after_begin = self.from_time is None or moment >= self.from_time
        return after_begin and (self.to_time is None or moment < self.to_time)


class _Typed(msgspec.Struct):
    category: Any = None
    name: Any = None


_typed = msgspec.json.Decoder(_Typed)


def _type_of(record: RawRecord, headers: dict[str, bytes]) -> tuple[Any, Any]:
    """Return category and name as far as they can be read; both stand in the same place in every topic of events."""
    if CATEGORY in headers and NAME in headers:
        return headers[CATEGORY].decode("utf-8", "replace"), headers[NAME].decode("utf-8", "replace")
    try:
        typed = _typed.decode(record.value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None, None
    return typed.category, typed.name
