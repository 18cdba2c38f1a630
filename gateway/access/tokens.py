"""Access tokens (JWT, RFC 9068) of issuers: verified once, then remembered until they expire."""

from __future__ import annotations

import asyncio
import base64
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import jwt
import msgspec

from gateway.access.api_keys import Grant, Scope
from gateway.access.issuers import Issuer
from gateway.access.key_sets import ALGORITHMS, FETCH_SECONDS, FetchedKeys, FileKeys, KeySet
from gateway.metrics import Metrics
from gateway.problems import InvalidToken
from schemas.event import Text

MAX_TOKEN = 8000
"""Most characters of a token."""

MAX_VERIFIED = 10_000
"""Tokens that are remembered; the one that was used longest ago is forgotten first."""

CLOCK_SECONDS = 5.0
"""The time by which the issuer's clock may be ahead where a token begins to hold."""

_TICK_SECONDS = 0.5

_LATEST = 1e15
"""A time beyond this is none."""

_SIGNATURES = jwt.PyJWS(algorithms=sorted(ALGORITHMS))


class _Header(msgspec.Struct):
    alg: str
    kid: str | None = None
    crit: Any = None


class _Verified(NamedTuple):
    grant: Grant
    expires: float


class Tokens:
    """The tokens of the issuers that applications.toml names.

    `find` never waits: keys of issuers are fetched by `keep_keys`, beside the requests.
    """

    def __init__(self, metrics: Metrics, clock: Callable[[], float] = time.time) -> None:
        self._metrics = metrics
        self._clock = clock
        self._issuers: dict[str, Issuer] = {}
        self._key_sets: dict[str, KeySet] = {}
        self._grants: Mapping[str, Grant] = {}
        self._verified: OrderedDict[str, _Verified] = OrderedDict()
        self._wake = asyncio.Event()

    @property
    def fault(self) -> str | None:
        """The reason why keys of an issuer can't be read, None where there is none."""
        return "; ".join(keys.fault for keys in self._key_sets.values() if keys.fault) or None

    @property
    def any(self) -> bool:
        """True where an issuer is named."""
        return bool(self._issuers)

    @property
    def applications(self) -> set[str]:
        """The applications of the tokens that are remembered."""
        return {verified.grant.application for verified in self._verified.values()}

    def use(self, issuers: Sequence[Issuer], grants: Mapping[str, Grant], directory: Path) -> None:
        """Verify by these issuers from now on; `grants`: limits and origins of applications, without scopes.

        Files of keys are named from `directory`. Whatever was verified before is forgotten.
        """
        before, self._issuers = self._issuers, {issuer.issuer: issuer for issuer in issuers}
        kept = {name: keys for name, keys in self._key_sets.items() if self._issuers.get(name) == before[name]}
        self._key_sets = {name: kept.get(name) or self._keys_of(one, directory) for name, one in self._issuers.items()}
        for gone in before.keys() - self._issuers.keys():
            self._metrics.issuer_keys.remove(gone)
            self._metrics.issuer_faulty.remove(gone)
        for name, keys in self._key_sets.items():
            self._show(name, keys)
        self._grants = grants
        self._verified.clear()
        self._wake.set()

    def find(self, token: str, digest: str) -> Grant | None:
        """Return the rights of a token, None where nobody issues tokens; `digest` is its SHA-256.

        Raises InvalidToken, or IssuerUnavailable where it can't be told yet.
        """
        if not self._issuers:
            return None
        for keys in self._key_sets.values():
            if keys.refresh():
                self._verified.clear()
        known = self._verified.get(digest)
        if known is not None and self._clock() < known.expires:
            self._verified.move_to_end(digest)
            return known.grant
        try:
            verified = self._verify(token)
        except InvalidToken as error:
            self._metrics.tokens_refused.labels(error.reason).inc()
            raise
        self._verified[digest] = verified
        if len(self._verified) > MAX_VERIFIED:
            self._verified.popitem(last=False)
        return verified.grant

    async def keep_keys(self, refresh: Callable[[], None]) -> None:
        """Fetch keys when they are due, until cancelled; `refresh` is called again and again, to see new issuers."""
        timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as fetches:
            while True:
                self._wake.clear()
                refresh()
                for name, keys in self._key_sets.items():
                    if isinstance(keys, FetchedKeys) and keys.due:
                        keys.busy = True
                        fetches.create_task(self._fetch(name, keys, session))
                try:
                    async with asyncio.timeout(_TICK_SECONDS):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    async def _fetch(self, name: str, keys: FetchedKeys, session: aiohttp.ClientSession) -> None:
        outcome = "ok" if await keys.fetch(session) else "failed"
        self._metrics.issuer_fetches.labels(name, outcome).inc()

    def _show(self, name: str, keys: KeySet) -> None:
        self._metrics.issuer_keys.labels(name).set_function(lambda: keys.size)
        self._metrics.issuer_faulty.labels(name).set_function(lambda: keys.fault is not None)

    def _keys_of(self, issuer: Issuer, directory: Path) -> KeySet:
        if issuer.jwks_file is not None:
            return FileKeys(issuer.issuer, directory / issuer.jwks_file)
        assert issuer.jwks_uri is not None
        return FetchedKeys(issuer.issuer, issuer.jwks_uri, self._wake.set)

    def _verify(self, token: str) -> _Verified:
        header, claims = _parts(token)
        if header.crit is not None:
            raise InvalidToken("malformed", "The token's header has critical extensions, of which none is known.")
        if header.alg not in ALGORITHMS:
            raise InvalidToken("algorithm", f"A token is signed by one of {', '.join(sorted(ALGORITHMS))}.")
        name = claims.get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise InvalidToken("issuer", "The token's issuer (iss) is not one of those that are trusted.")
        expires = self._check_claims(claims, issuer)
        key = self._key_sets[issuer.issuer].find(header.kid, header.alg)
        if key is None:
            raise InvalidToken("unknown_key", "The token's key (kid) is none of its issuer's.")
        if header.alg not in key.algorithms:
            raise InvalidToken("algorithm", "The token's key is not for its algorithm (alg).")
        try:
            _SIGNATURES.decode(token, key.public, algorithms=[header.alg])
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise InvalidToken("signature", "The token's signature does not fit.") from error
        return _Verified(self._grant(claims, issuer), expires)

    def _check_claims(self, claims: dict[str, Any], issuer: Issuer) -> float:
        """Return when the token expires. Raises InvalidToken."""
        audience = claims.get("aud")
        if issuer.audience not in (audience if isinstance(audience, list) else [audience]):
            raise InvalidToken("audience", "The token is for another audience (aud).")
        now, expires = self._clock(), _time(claims, "exp")
        if expires is None:
            raise InvalidToken("malformed", "The token does not say when it expires (exp).")
        if expires <= now:
            raise InvalidToken("expired", "The token has expired (exp).")
        begins = _time(claims, "nbf")
        if begins is not None and begins > now + CLOCK_SECONDS:
            raise InvalidToken("not_yet_valid", "The token does not hold yet (nbf).")
        return expires

    def _grant(self, claims: dict[str, Any], issuer: Issuer) -> Grant:
        try:
            application = msgspec.convert(claims.get(issuer.application_claim), Text)
        except msgspec.ValidationError as error:
            claim = issuer.application_claim
            raise InvalidToken(
                "application", f"The token names no application of 1 to 128 characters ({claim})."
            ) from error
        given = claims.get("scope")
        words = given.split() if isinstance(given, str) else given if isinstance(given, list) else []
        scopes = frozenset(scope for scope in Scope if scope.value in words)
        known = self._grants.get(application)
        if known is None:
            return Grant(application, scopes)
        return msgspec.structs.replace(known, scopes=scopes)


def _parts(token: str) -> tuple[_Header, dict[str, Any]]:
    if len(token) > MAX_TOKEN:
        raise InvalidToken("malformed", f"A token has at most {MAX_TOKEN} characters.")
    first, second, _ = token.split(".")
    try:
        return msgspec.json.decode(_bytes(first), type=_Header), msgspec.json.decode(
            _bytes(second), type=dict[str, Any]
        )
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise InvalidToken("malformed", "This is neither a known key nor a token (JWT).") from error


def _bytes(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)


def _time(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _LATEST:
        raise InvalidToken("malformed", f"The token's {name} is no number of seconds.")
    return float(value)
