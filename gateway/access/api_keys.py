"""The keys of applications: who may send, who may read."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import time
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec

from schemas.event import Text

log = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
"""The shortest time between two looks at the file."""


class Scope(StrEnum):
    """The use that a key is for."""

    WRITE = "write"
    READ = "read"


class Limit(msgspec.Struct, frozen=True):
    """A rate limit: `rate` events a second, `burst` of them at once. `name`: whose it is, for people."""

    name: str
    rate: float
    burst: float


class Grant(msgspec.Struct, frozen=True):
    """The rights of a key: its application, its scopes, its rate limits, and the origins of the application's pages.

    `public`: the key stands in a page for everybody to read, so it works from these origins alone.
    """

    application: str
    scopes: frozenset[Scope]
    limits: tuple[Limit, ...] = ()
    origins: frozenset[str] = frozenset()
    public: bool = False


class KnownKey(NamedTuple):
    """A key's SHA-256 and its rights."""

    sha256: str
    grant: Grant


_Rate = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
_Burst = Annotated[float, msgspec.Meta(ge=1, le=1e9)]


_Origin = Annotated[str, msgspec.Meta(pattern=r"^https?://[^/\s?#@*A-Z]+$")]


class _Key(msgspec.Struct, forbid_unknown_fields=True):
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{64}$")]
    scopes: frozenset[Scope]
    rate: _Rate | None = None
    burst: _Burst | None = None
    public: bool = False
    label: str | None = None
    created: str | None = None


class _Application(msgspec.Struct, forbid_unknown_fields=True):
    id: Text
    keys: list[_Key] = []
    origins: frozenset[_Origin] = frozenset()
    rate: _Rate | None = None
    burst: _Burst | None = None


class _File(msgspec.Struct):
    applications: list[_Application] = []


class KeyRing:
    """The keys of `applications.toml`, read again within a second when the file changes.

    While the file can't be read, the keys read before hold; without a file nobody has access. `fault` says
    what is wrong, or is None. `version` is that of the file whose keys hold, see `version_of`.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._checked_at = float("-inf")
        self._seen: tuple[int, int, int] | None = None
        self._keys: dict[str, KnownKey] = {}
        self._origins: frozenset[str] = frozenset()
        # keys that are presented again and again are hashed once
        self._digest = lru_cache(maxsize=1024)(_sha256)
        self.fault: str | None = None
        self.loaded = False
        self.version: str | None = None

    def find(self, key: str) -> Grant | None:
        """Return the rights of a key, or None where it is unknown."""
        self.refresh()
        digest = self._digest(key)
        known = self._keys.get(digest)
        return known.grant if known is not None and hmac.compare_digest(known.sha256, digest) else None

    @property
    def applications(self) -> set[str]:
        """The applications that have a key."""
        return {known.grant.application for known in self._keys.values()}

    @property
    def origins(self) -> frozenset[str]:
        """The origins of all applications that have a key."""
        return self._origins

    def refresh(self) -> None:
        """Read the file again if it has changed; looks at most once a second."""
        now = self._clock()
        if now - self._checked_at < CHECK_SECONDS:
            return
        self._checked_at = now
        try:
            status = os.stat(self._path)
        except OSError:
            self._forget(f"{self._path} can't be found: `eye keys add APPLICATION` makes it, with a first key.")
            return
        seen = (status.st_mtime_ns, status.st_size, status.st_ino)
        if seen != self._seen and self._load():
            self._seen = seen

    def _load(self) -> bool:
        """Read the file; False where it should be tried again, since it could not be read at all."""
        try:
            content = self._path.read_bytes()
            keys = parse_applications(content)
        except (OSError, ValueError) as error:
            fault = f"{self._path} can't be read, the keys of before hold: {error}"
            if fault != self.fault:
                log.error("%s", fault)
            self.fault = fault
            return not isinstance(error, OSError)
        self._keys, self.version = keys, version_of(content)
        self._origins = frozenset().union(*(known.grant.origins for known in keys.values()))
        self.fault, self.loaded = None, True
        log.info("%d keys read from %s", len(self._keys), self._path)
        return True

    def _forget(self, fault: str) -> None:
        if self.fault != fault:
            log.error("%s", fault)
        self.fault, self.loaded, self._seen, self._keys, self.version = fault, False, None, {}, None
        self._origins = frozenset()


def parse_applications(content: bytes) -> dict[str, KnownKey]:
    """Return the keys of an applications.toml by their SHA-256; every reader uses this one. Raises ValueError."""
    try:
        file = msgspec.toml.decode(content, type=_File)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
    known: dict[str, KnownKey] = {}
    for application in file.applications:
        shared = _limits(f"application {application.id}", application)
        for key in application.keys:
            digest = key.sha256.lower()
            if digest in known:
                raise ValueError(f"the key with sha256 {digest[:8]}... is there twice")
            if key.public and key.scopes != {Scope.WRITE}:
                raise ValueError(f"the public key with sha256 {digest[:8]}... may only have the scope write")
            limits = (*shared, *_limits(f"key {digest[:12]}", key))
            grant = Grant(application.id, key.scopes, limits, application.origins, key.public)
            known[digest] = KnownKey(digest, grant)
    return known


def version_of(content: bytes) -> str:
    """Return the version of an applications.toml: the beginning of its SHA-256."""
    return hashlib.sha256(content).hexdigest()[:12]


def _limits(name: str, entry: _Application | _Key) -> tuple[Limit, ...]:
    """Return the limit of an entry, if it has one; without a burst, that of one second."""
    if entry.rate is not None:
        return (Limit(name, entry.rate, max(1.0, entry.rate) if entry.burst is None else entry.burst),)
    if entry.burst is not None:
        raise ValueError(f"{name} has a burst but no rate")
    return ()


def _sha256(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
