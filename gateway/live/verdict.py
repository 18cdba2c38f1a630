"""A published verdict as listeners see it, and the conditions that choose some of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import msgspec
from aiokafka import ConsumerRecord, TopicPartition

from gateway.live.positions import encode_positions
from schemas.record import APPLICATION, CATEGORY, NAME, REPLAY
from schemas.topics import Topics

ACCEPTED, REJECTED = "accepted", "rejected"


class _EventType(msgspec.Struct):
    category: Any = None
    name: Any = None


_event_type = msgspec.json.Decoder(_EventType)


class LiveVerdict:
    """One record of `events.validated` or `events.rejected`; `kind` says which."""

    def __init__(self, record: ConsumerRecord, kind: str) -> None:
        self.kind = kind
        self.tp = TopicPartition(record.topic, record.partition)
        self.offset: int = record.offset
        self.key: bytes | None = record.key
        self.value: bytes | None = record.value
        self.headers: dict[str, bytes] = dict(record.headers)
        self._common: tuple[str, bytes] | None = None

    @property
    def is_new(self) -> bool:
        """Tell whether this is a first verdict: none that a replay published again, and no tombstone."""
        return self.value is not None and REPLAY not in self.headers

    @cached_property
    def event_type(self) -> tuple[object, object]:
        """Category and name as far as they are known; a rejected event has them in its JSON alone."""
        if CATEGORY in self.headers and NAME in self.headers:
            return self.headers[CATEGORY].decode("utf-8", "replace"), self.headers[NAME].decode("utf-8", "replace")
        try:
            found = _event_type.decode(self.value or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None, None
        return found.category, found.name

    def common(self, positions: Mapping[TopicPartition, int], topics: Topics) -> tuple[str, bytes]:
        """Return the common reader's position and the event at it, made once for all its listeners."""
        if self._common is None:
            position = encode_positions(positions, topics)
            self._common = position, self.frame(position)
        return self._common

    def frame(self, position: str) -> bytes:
        """Return the verdict as a server-sent event whose id is a position."""
        lines = b"\ndata: ".join((self.value or b"").splitlines())
        return f"event: {self.kind}\nid: {position}\ndata: ".encode() + lines + b"\n\n"


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions on a verdict; one that is None is none. `verdict` is accepted or rejected."""

    session_id: str | None = None
    category: str | None = None
    name: str | None = None
    application: str | None = None
    verdict: str | None = None

    def meet(self, verdict: LiveVerdict) -> bool:
        """Tell whether a verdict meets all of them."""
        if self.verdict is not None and verdict.kind != self.verdict:
            return False
        if self.session_id is not None and verdict.key != self.session_id.encode():
            return False
        if self.application is not None and verdict.headers.get(APPLICATION) != self.application.encode():
            return False
        if self.category is None and self.name is None:
            return True
        category, name = verdict.event_type
        return self.category in (None, category) and self.name in (None, name)
