"""An issuer of access tokens, and the gateway's side that verifies them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.access.api_keys import Grant, KeyRing, Scope
from gateway.access.tokens import Tokens
from gateway.metrics import Metrics
from gateway.problems import InvalidToken
from tests.support.issuer import Issuer

BOTH = frozenset({Scope.WRITE, Scope.READ})


class Office:
    """A key ring whose file names one issuer with its keys in a file, and clocks that stand still."""

    def __init__(self, directory: Path) -> None:
        self.now, self.ticks = time.time(), 0.0
        self.issuer = Issuer()
        self.metrics = Metrics()
        self.keys = directory / "keys.json"
        self.applications = directory / "applications.toml"
        self.publish(self.issuer.jwks())
        self.applications.write_text(self.issuer.entry(jwks_file="keys.json"))
        self.tokens = Tokens(self.metrics, lambda: self.now)
        self.ring = KeyRing(self.applications, lambda: self.ticks, self.tokens)

    def publish(self, keys: dict[str, Any]) -> None:
        self.keys.write_text(json.dumps(keys))

    def find(self, token: str) -> Grant | None:
        return self.ring.find(token)

    def refusal(self, token: str) -> str:
        """Return the reason for which a token is refused."""
        with pytest.raises(InvalidToken) as refused:
            self.find(token)
        assert refused.value.code == "invalid_token"
        assert 'error="invalid_token"' in refused.value.headers["WWW-Authenticate"]
        assert token not in str(refused.value.headers) + refused.value.detail
        return refused.value.reason
