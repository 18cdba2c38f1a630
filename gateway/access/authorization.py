"""Find the key of a request, and check that it may use the route."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from enum import Enum

from gateway.access.api_keys import Grant, KeyRing, Scope
from gateway.problems import Forbidden, Unauthorized


class Access(Enum):
    """The key that a route requires: none, any key at all, or one with some scope."""

    OPEN = None
    ANY_KEY = frozenset[Scope]()
    WRITE = frozenset({Scope.WRITE})
    READ = frozenset({Scope.READ, Scope.READ_ALL})
    WRITE_OR_READ = frozenset({Scope.WRITE, Scope.READ, Scope.READ_ALL})


def authorize(keys: KeyRing, headers: Mapping[str, str], scopes: frozenset[Scope]) -> Grant:
    """Return the grant of a request's key, which has one of `scopes`, or any where there are none.

    Raises Unauthorized without a known key, Forbidden without a scope, or for a public key from another origin.
    """
    grant = find_grant(keys, headers)
    if grant.public and headers.get("Origin") not in grant.origins:
        raise Forbidden(f"This key of {grant.application} is public: it works from its application's origins alone.")
    if scopes and not scopes & grant.scopes:
        wanted = " or ".join(sorted(scopes))
        raise Forbidden(f"This key of {grant.application} lacks the scope {wanted}.")
    return grant


def find_grant(keys: KeyRing, headers: Mapping[str, str]) -> Grant:
    """Return the rights of a request's key. Raises Unauthorized where there is no key, or an unknown one."""
    key = presented_key(headers)
    if key is None:
        raise Unauthorized("Send a key: `Authorization: Bearer KEY`, or `X-API-Key: KEY`.")
    grant = keys.find(key)
    if grant is None:
        raise Unauthorized("This key is not known.")
    return grant


def presented_key(headers: Mapping[str, str]) -> str | None:
    """Return the key of a request, from `Authorization` (Bearer, or Basic as user name) or `X-API-Key`."""
    scheme, _, credentials = headers.get("Authorization", "").strip().partition(" ")
    match scheme.lower():
        case "bearer":
            return credentials.strip() or None
        case "basic":
            return _user_name(credentials.strip())
    return headers.get("X-API-Key", "").strip() or None


def _user_name(credentials: str) -> str | None:
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[0] or None
    except (binascii.Error, ValueError):
        return None
