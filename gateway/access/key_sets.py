"""The public keys of an issuer (JWKS, RFC 7517): from a file, or fetched beside the requests."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import aiohttp
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import PyJWTError

from gateway.problems import IssuerUnavailable

log = logging.getLogger(__name__)

MAX_BYTES = 512 * 1024
MAX_KEYS = 100
LEAST_RSA_BITS = 2048

FETCH_SECONDS = 5.0
"""Longest that a fetch may take; no request waits for all of it."""

REFRESH_SECONDS = 300.0
"""Fetched keys hold for this time, then they are fetched again; so a key that the issuer took back opens nothing."""

RETRY_SECONDS = 10.0
"""Time between fetches that fail."""

MISS_SECONDS = 60.0
"""An unknown key makes an issuer's keys be fetched at most once in this time."""

_FILE_SECONDS = 1.0

_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
ALGORITHMS = _RSA | frozenset(_CURVES.values()) | {"EdDSA"}
"""The algorithms of signatures that are taken: those with a public key."""

_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})


class Key(NamedTuple):
    """A public key and the algorithms that its type, and what the issuer says of it, allow."""

    id: str | None
    algorithms: frozenset[str]
    public: Any


class KeySet(Protocol):
    """The keys of one issuer; `fault` says why they can't be read, those read before hold meanwhile."""

    fault: str | None

    @property
    def size(self) -> int:
        """The number of keys that can be used."""

    def find(self, id: str | None, algorithm: str) -> Key | None:
        """Return the key, None where there is none by that name. Raises IssuerUnavailable where that is not known yet.

        A token without a key's id means the only key for its algorithm.
        """

    def refresh(self) -> bool:
        """Look at what has come since; returns whether keys have changed."""


def read_key_set(content: bytes) -> list[Key]:
    """Return the keys of a JWKS that can verify signatures; others in it are left out. Raises ValueError."""
    if len(content) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES} bytes")
    try:
        document = msgspec.json.decode(content)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ValueError("it is no JSON") from error
    listed = document.get("keys") if isinstance(document, dict) else None
    entries = listed[:MAX_KEYS] if isinstance(listed, list) else []
    keys = [key for entry in entries if isinstance(entry, dict) and (key := _key(entry)) is not None]
    if not keys:
        raise ValueError("it has no key that can be used")
    return keys


def _key(entry: dict[str, Any]) -> Key | None:
    operations = entry.get("key_ops")
    if entry.get("use", "sig") != "sig" or (isinstance(operations, list) and "verify" not in operations):
        return None
    public = {name: value for name, value in entry.items() if name not in _PRIVATE}
    made: Any
    try:
        match entry.get("kty"), entry.get("crv"):
            case "RSA", _:
                made, algorithms = RSAAlgorithm.from_jwk(public), _RSA
                if made.key_size < LEAST_RSA_BITS:
                    return None
            case "EC", str(curve) if curve in _CURVES:
                made, algorithms = ECAlgorithm.from_jwk(public), frozenset({_CURVES[curve]})
            case "OKP", "Ed25519":
                made, algorithms = OKPAlgorithm.from_jwk(public), frozenset({"EdDSA"})
            case _:
                return None
    except (PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, KeyError):
        return None
    named = {"Ed25519": "EdDSA"}.get(str(entry.get("alg")), entry.get("alg"))
    if named is not None:
        algorithms &= {str(named)}
    id = entry.get("kid")
    return Key(id if isinstance(id, str) else None, algorithms, made) if algorithms else None


def _find(keys: list[Key], id: str | None, algorithm: str) -> Key | None:
    if id is None:
        able = [key for key in keys if algorithm in key.algorithms]
        return able[0] if len(able) == 1 else None
    return next((key for key in keys if key.id == id), None)


class FileKeys:
    """Keys in a file, read again within a second when it changes."""

    def __init__(self, issuer: str, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer, self._path, self._clock = issuer, path, clock
        self._checked_at = float("-inf")
        self._seen: tuple[int, int, int] | None = None
        self._keys: list[Key] = []
        self.fault: str | None = None

    @property
    def size(self) -> int:
        """The number of keys that can be used."""
        return len(self._keys)

    def find(self, id: str | None, algorithm: str) -> Key | None:
        """Return the key, None where there is none by that name. Raises IssuerUnavailable without any keys."""
        if not self._keys:
            raise IssuerUnavailable("The keys of the token's issuer can't be read now: send it again.")
        return _find(self._keys, id, algorithm)

    def refresh(self) -> bool:
        """Read the file if it has changed; returns whether keys have changed."""
        now = self._clock()
        if now - self._checked_at < _FILE_SECONDS:
            return False
        self._checked_at = now
        try:
            status = os.stat(self._path)
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
            if seen == self._seen:
                return False
            keys = read_key_set(self._path.read_bytes())
        except (OSError, ValueError) as error:
            said = error.strerror if isinstance(error, OSError) else error
            self._note(f"the keys of {self._issuer} can't be read from {self._path}: {said}")
            return False
        self._seen, self._keys, self.fault = seen, keys, None
        log.info("%d keys of %s read", len(keys), self._issuer)
        return True

    def _note(self, fault: str) -> None:
        if fault != self.fault:
            log.error("%s", fault)
        self.fault = fault


class FetchedKeys:
    """Keys at an address. They are fetched by `fetch` when `due`, never by a request.

    `wake` is called when a request meets an unknown key and a fetch is due for it.
    """

    def __init__(
        self, issuer: str, uri: str, wake: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer, self._uri, self._wake, self._clock = issuer, uri, wake, clock
        self._keys: list[Key] = []
        self._content = b""
        self._changed = False
        self._due_at = float("-inf")
        self._missed_at = float("-inf")
        self._fetched: asyncio.Event | None = asyncio.Event()
        self.busy = False
        self.fault: str | None = None

    @property
    def size(self) -> int:
        """The number of keys that can be used."""
        return len(self._keys)

    @property
    def due(self) -> bool:
        """True when the keys are to be fetched."""
        return not self.busy and self._clock() >= self._due_at

    def find(self, id: str | None, algorithm: str) -> Key | None:
        """Return the key, None where there is none by that name. Raises IssuerUnavailable where that is not known yet.

        An unknown key is not known yet while a fetch is under way, which it asks for once in MISS_SECONDS.
        """
        key = _find(self._keys, id, algorithm)
        if key is not None or (id is None and self._keys):
            return key
        if self._fetched is None and self._clock() - self._missed_at >= MISS_SECONDS:
            self._missed_at = self._due_at = self._clock()
            self._fetched = asyncio.Event()
            self._wake()
        if self._fetched is not None:
            raise IssuerUnavailable("The keys of the token's issuer are being read: send it again.", self._fetched)
        if self.fault is not None:
            raise IssuerUnavailable("The keys of the token's issuer can't be read now: send it again.")
        return None

    def refresh(self) -> bool:
        """Return whether keys have changed since the last call."""
        changed, self._changed = self._changed, False
        return changed

    async def fetch(self, session: aiohttp.ClientSession) -> bool:
        """Fetch the keys; returns whether that went well. Those of before hold where it did not."""
        self.busy = True
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                content = await self._download(session)
            keys = read_key_set(content)
        except Exception as error:  # whatever an issuer answers, the keys of before hold
            self._due_at = self._clock() + RETRY_SECONDS
            said = str(error) or f"no answer within {FETCH_SECONDS:g} s"
            fault = f"the keys of {self._issuer} can't be fetched from {self._uri}: {said}"
            if self.fault is None:
                log.error("%s", fault)
            self.fault = fault
            return False
        else:
            self._due_at = self._clock() + REFRESH_SECONDS
            self._changed = self._changed or content != self._content
            self._keys, self._content, self.fault = keys, content, None
            log.info("%d keys of %s fetched", len(keys), self._issuer)
            return True
        finally:
            self.busy = False
            if self._fetched is not None:
                self._fetched.set()
                self._fetched = None

    async def _download(self, session: aiohttp.ClientSession) -> bytes:
        headers = {"Accept": "application/json"}
        async with session.get(self._uri, allow_redirects=False, headers=headers) as response:
            if response.status != 200:
                raise ValueError(f"it answered {response.status}")
            content = b""
            async for part in response.content.iter_chunked(64 * 1024):
                content += part
                if len(content) > MAX_BYTES:
                    break
            return content
