"""The keys of applications: who may send, who may read."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, NamedTuple, Protocol

import msgspec

from gateway.access.issuers import Issuer, check_issuers
from gateway.problems import Unauthorized
from schemas.event import Text
from schemas.record import UnknownTypes

log = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
"""The shortest time between two looks at the file."""

TOKEN_DOTS = 2
"""Dots in a token (JWT)."""

_HOUR = 3600
_SHOWN_KEYS = 1_000


class Scope(StrEnum):
    """The use that a key is for."""

    WRITE = "write"
    READ = "read"
    READ_ALL = "read_all"
    ADMIN = "admin"


class Limit(msgspec.Struct, frozen=True):
    """A rate limit: `rate` events a second, `burst` of them at once. `name`: whose it is, for people."""

    name: str
    rate: float
    burst: float


class Grant(msgspec.Struct, frozen=True):
    """The rights of a key: its application, its scopes, its rate limits, and the origins of the application's pages.

    `public`: the key stands in a page for everybody to read, so it works from these origins alone.
    `unknown_event_types`: what becomes of an event whose type the catalogue lacks; None: as the settings say.
    """

    application: str
    scopes: frozenset[Scope]
    limits: tuple[Limit, ...] = ()
    origins: frozenset[str] = frozenset()
    public: bool = False
    unknown_event_types: UnknownTypes | None = None


class KnownKey(NamedTuple):
    """A key's SHA-256, its rights, and when it expires, in seconds since 1970."""

    sha256: str
    grant: Grant
    expires: float | None = None


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
    expires: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class _Application(msgspec.Struct, forbid_unknown_fields=True):
    id: Text
    keys: list[_Key] = []
    origins: frozenset[_Origin] = frozenset()
    unknown_event_types: UnknownTypes | None = None
    rate: _Rate | None = None
    burst: _Burst | None = None


class _File(msgspec.Struct):
    applications: list[_Application] = []
    issuers: list[Issuer] = []


class Applications(NamedTuple):
    """The contents of applications.toml: keys by their SHA-256, each application's limits and origins, issuers."""

    keys: dict[str, KnownKey]
    grants: dict[str, Grant]
    issuers: list[Issuer]


class TokenFinder(Protocol):
    """The tokens that are as good as keys (`gateway.access.tokens`)."""

    @property
    def applications(self) -> set[str]:
        """The applications that came with a token."""

    def use(self, issuers: Sequence[Issuer], grants: Mapping[str, Grant], directory: Path) -> None:
        """Take tokens of these issuers from now on."""

    def find(self, token: str, digest: str) -> Grant | None:
        """Return the rights of a token, None where nobody issues any. Raises InvalidToken, IssuerUnavailable."""


class KeyRing:
    """The keys of `applications.toml`, read again within a second when the file changes.

    While the file can't be read, the keys read before hold; without a file nobody has access. `fault` says
    what is wrong, or is None. `version` is that of the file whose keys hold, see `version_of`. A token of an issuer
    that the file names is as good as a key, where `tokens` can tell. `now`: the time by which keys expire.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = time.monotonic,
        tokens: TokenFinder | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._tokens = tokens
        self._clock = clock
        self._now = now
        self._used_in: dict[str, int] = {}
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
        """Return the rights of a key or token, None where it is unknown.

        Raises Unauthorized for a key that has expired, InvalidToken or IssuerUnavailable for a token.
        """
        self.refresh()
        digest = self._digest(key)
        known = self._keys.get(digest)
        if known is not None and hmac.compare_digest(known.sha256, digest):
            now = self._now()
            if known.expires is not None and now >= known.expires:
                until = datetime.fromtimestamp(known.expires, UTC)
                raise Unauthorized(f"This key of {known.grant.application} expired at {until:%Y-%m-%d %H:%M} UTC.")
            self._used_in[digest] = int(now // _HOUR)
            return known.grant
        if self._tokens is not None and key.count(".") == TOKEN_DOTS:
            return self._tokens.find(key, digest)
        return None

    @property
    def last_used(self) -> dict[str, str]:
        """The hour in which each key was last used here, by the beginning of its SHA-256; at most 1,000 keys."""
        used = sorted(self._used_in.items(), key=lambda item: -item[1])[:_SHOWN_KEYS]
        return {digest[:12]: f"{datetime.fromtimestamp(hour * _HOUR, UTC):%Y-%m-%dT%H:00Z}" for digest, hour in used}

    @property
    def applications(self) -> set[str]:
        """The applications that have a key, or came with a token."""
        found = {known.grant.application for known in self._keys.values()}
        return found if self._tokens is None else found | self._tokens.applications

    @property
    def origins(self) -> frozenset[str]:
        """The origins of all applications."""
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
            file = parse_applications(content)
        except (OSError, ValueError) as error:
            fault = f"{self._path} can't be read, the keys of before hold: {error}"
            if fault != self.fault:
                log.error("%s", fault)
            self.fault = fault
            return not isinstance(error, OSError)
        self._keys, self.version = file.keys, version_of(content)
        self._used_in = {digest: hour for digest, hour in self._used_in.items() if digest in self._keys}
        self._origins = frozenset().union(*(grant.origins for grant in file.grants.values()))
        self._use_tokens(file.issuers, file.grants)
        self.fault, self.loaded = None, True
        log.info("%d keys and %d issuers read from %s", len(file.keys), len(file.issuers), self._path)
        return True

    def _forget(self, fault: str) -> None:
        if self.fault != fault:
            log.error("%s", fault)
        self.fault, self.loaded, self._seen, self._keys, self.version = fault, False, None, {}, None
        self._origins = frozenset()
        self._use_tokens([], {})

    def _use_tokens(self, issuers: Sequence[Issuer], grants: Mapping[str, Grant]) -> None:
        if self._tokens is not None:
            self._tokens.use(issuers, grants, self._path.absolute().parent)


def parse_applications(content: bytes) -> Applications:
    """Return what an applications.toml says; every reader uses this one. Raises ValueError."""
    try:
        file = msgspec.toml.decode(content, type=_File)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
    check_issuers(file.issuers)
    known: dict[str, KnownKey] = {}
    grants: dict[str, Grant] = {}
    for application in file.applications:
        shared = _limits(f"application {application.id}", application)
        grant = Grant(
            application.id,
            frozenset(),
            shared,
            application.origins,
            unknown_event_types=application.unknown_event_types,
        )
        grants[application.id] = grant
        for key in application.keys:
            digest = key.sha256.lower()
            if digest in known:
                raise ValueError(f"the key with sha256 {digest[:8]}... is there twice")
            if key.public and key.scopes != {Scope.WRITE}:
                raise ValueError(f"the public key with sha256 {digest[:8]}... may only have the scope write")
            limits = (*shared, *_limits(f"key {digest[:12]}", key))
            granted = msgspec.structs.replace(grant, scopes=key.scopes, limits=limits, public=key.public)
            known[digest] = KnownKey(digest, granted, None if key.expires is None else key.expires.timestamp())
    return Applications(known, grants, file.issuers)


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
