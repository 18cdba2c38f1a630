"""The base of all clients: `send` takes an event, returns at once, and never raises."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any, Protocol

import msgspec

from eye_client.drops import Reason
from eye_client.event import NOT_JSON, Event, encode
from eye_client.ids import uuid7
from eye_client.model import ModelError, payload_of
from eye_client.results import Violation

log = logging.getLogger(__name__)


class Outbox(Protocol):
    """Takes encoded events."""

    def put(self, body: bytes) -> bool:
        """Take an event; False where it was dropped."""

    def drop(self, reason: Reason, body: bytes = b"", errors: tuple[Violation, ...] = ()) -> bool:
        """Count an event that was not taken; returns False."""


class Sender:
    """Takes events from any thread, greenlet or task."""

    def __init__(self, outbox: Outbox, max_event_bytes: int, clock: Callable[[], int] = time.time_ns) -> None:
        self._outbox = outbox
        self._max_event_bytes = max_event_bytes
        self._clock = clock

    def send(
        self,
        category: str,
        name: str,
        session_id: str,
        data: Mapping[str, Any],
        *,
        user_id: str | None = None,
        context: Mapping[str, Any] | None = None,
        timestamp: datetime | str | None = None,
        event_id: str | None = None,
        schema_version: int | None = None,
    ) -> str | None:
        """Take one event, as it is now: what becomes of `data` later does not matter.

        `timestamp`: when it occurred, by default now; without a zone it is in UTC. `event_id`: an idempotency key of
        yours, by default a UUIDv7. Returns the event_id, or None where the event was dropped: `counts` and
        `on_result` say why. Never raises, and never waits for the network.
        """
        try:
            return self._send(category, name, session_id, data, user_id, context, timestamp, event_id, schema_version)
        except Exception:
            log.exception("an event could not be taken")
            self._outbox.drop(Reason.INTERNAL_ERROR)
            return None

    def send_model(
        self,
        payload: Any,
        session_id: str,
        *,
        user_id: str | None = None,
        context: Mapping[str, Any] | None = None,
        timestamp: datetime | str | None = None,
        event_id: str | None = None,
    ) -> str | None:
        """Take one event whose payload is an instance of a pydantic event type of the catalogue.

        Category, name and version are those of its class. The payload is checked by the class's rules, once more
        and as JSON, as the stream will do it; one that breaks a rule is dropped (`invalid`), with its errors in
        `on_result`. Otherwise as `send`.
        """
        try:
            kind = type(payload)
            data = payload_of(payload)
            return self._send(
                kind.event_category,
                kind.event_name,
                session_id,
                data,
                user_id,
                context,
                timestamp,
                event_id,
                kind.event_version,
            )
        except ModelError as error:
            self._outbox.drop(Reason.INVALID, errors=error.violations)
        except Exception:
            log.exception("an event could not be taken")
            self._outbox.drop(Reason.INTERNAL_ERROR)
        return None

    def _send(
        self,
        category: str,
        name: str,
        session_id: str,
        data: Mapping[str, Any] | msgspec.Raw,
        user_id: str | None,
        context: Mapping[str, Any] | None,
        timestamp: datetime | str | None,
        event_id: str | None,
        schema_version: int | None,
    ) -> str | None:
        now = self._clock()
        if event_id is None:
            event_id = uuid7(now, random.getrandbits(62))
        if timestamp is None:
            timestamp = datetime.fromtimestamp(now / 1e9, timezone.utc)
        event = Event(event_id, session_id, category, name, timestamp, data, schema_version, user_id, context)
        try:
            body = encode(event)
        except NOT_JSON as error:
            self._outbox.drop(Reason.NOT_JSON, errors=(Violation("not_json", "$", str(error)),))
            return None
        if len(body) > self._max_event_bytes:
            message = f"{len(body)} bytes; max_event_bytes is {self._max_event_bytes}"
            self._outbox.drop(Reason.TOO_LARGE, errors=(Violation("too_large", "$", message),))
            return None
        return event_id if self._outbox.put(body) else None
