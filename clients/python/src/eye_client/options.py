"""The options of a client, with their defaults."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from os import PathLike
from typing import TypedDict
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Options:
    """The options of a client. Times are in seconds, sizes in bytes.

    Raises ValueError, with a sentence, where an option can't be used.
    """

    url: str
    """Address of the gateway, like `https://eye.example.com`."""
    key: str = field(repr=False)
    """A key with the scope `write`."""
    batch_events: int = 1_000
    """Most events of one request."""
    batch_bytes: int = 1_000_000
    """Most bytes of one request, before compression; an event larger than this goes alone."""
    linger: float = 0.1
    """Longest time that the first event of a batch waits for more."""
    queue_events: int = 100_000
    """Most events in memory, those under way included."""
    queue_bytes: int = 64_000_000
    """Most bytes of events in memory."""
    disk: str | PathLike[str] | None = None
    """Directory of the queue on disk, which processes may share; without it events wait in memory alone."""
    disk_bytes: int = 1_000_000_000
    """Most bytes of the queue on disk, of all processes that share it."""
    max_event_bytes: int = 262_144
    """A larger event is dropped; the gateway's own limit may be lower."""
    timeout: float = 10.0
    """Longest time that a request may wait for the connection, or for each part of its answer."""
    min_backoff: float = 0.5
    """Pause after the first failure in a row; it doubles with each one, and is drawn between half and all of it."""
    max_backoff: float = 10.0
    """Longest pause while the gateway is away or busy; a longer `Retry-After` is honoured."""
    refused_backoff: float = 300.0
    """Longest pause while the gateway refuses what we send: a wrong key, a wrong address."""
    exit_timeout: float = 5.0
    """Longest time that the end of the program, or of the `with` block, waits for the gateway."""
    fork_timeout: float = 1.0
    """Longest time that a fork waits for the gateway, where events wait and the last request succeeded."""
    ca_certs: str | None = None
    """File of the certificates to trust (PEM); the system's when absent."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"url is an address like https://eye.example.com, not {self.url!r}")
        if not self.key or not self.key.isascii() or any(character.isspace() for character in self.key):
            raise ValueError("key is the key that `eye keys add` printed: ASCII, without spaces")
        for name in ("batch_events", "batch_bytes", "queue_events", "queue_bytes", "disk_bytes", "max_event_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1")
        for name in ("timeout", "min_backoff"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is more than 0 seconds")
        if self.disk is not None and os.name != "posix":
            raise ValueError("disk is for POSIX systems")


class OptionalTerms(TypedDict, total=False):
    """The options that a client has besides its address and key, for type checkers: see `Options`."""

    batch_events: int
    batch_bytes: int
    linger: float
    queue_events: int
    queue_bytes: int
    disk: str | PathLike[str] | None
    disk_bytes: int
    max_event_bytes: int
    timeout: float
    min_backoff: float
    max_backoff: float
    refused_backoff: float
    exit_timeout: float
    fork_timeout: float
    ca_certs: str | None
