"""The result of an event, as `on_result` gets it."""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec

from eye_client.drops import Reason
from eye_client.event import event_id_of


class Status(str, Enum):
    """The result of an event.

    `ok`: it is durable at the gateway. `invalid`, `too_large`: the gateway refused it for good. `dropped`: the
    client gave it up, and `reason` says why. `retry` is no result yet: the gateway refuses all that we send, since the
    key or the address is wrong, and events wait; reported once, of the oldest event, with the status in `errors`.
    """

    OK = "ok"
    INVALID = "invalid"
    TOO_LARGE = "too_large"
    DROPPED = "dropped"
    RETRY = "retry"


class Violation(msgspec.Struct, frozen=True):
    """A rule that an event breaks: the gateway's code, the JSON path, and a sentence."""

    code: str
    path: str = "$"
    message: str = ""


class Result(msgspec.Struct, frozen=True):
    """The result of one event. `body` is its JSON, empty where there never was one."""

    status: Status
    body: bytes = b""
    errors: tuple[Violation, ...] = ()
    reason: Reason | None = None

    @property
    def event_id(self) -> str | None:
        """The event_id that `send` returned; None where the event never became JSON."""
        return event_id_of(self.body) if self.body else None

    @property
    def event(self) -> dict[str, Any] | None:
        """The event as it was sent; None where it never became JSON."""
        event: dict[str, Any] | None = msgspec.json.decode(self.body) if self.body else None
        return event
