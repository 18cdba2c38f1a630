"""An issuer of access tokens: its keys, its tokens, and a server that publishes the public ones."""

from __future__ import annotations

import json
import time
from functools import cache
from typing import Any, Self

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tests.support.door import serve

AUDIENCE = "the-eye"

_OF_KIND = {"RS": "rsa", "PS": "rsa", "ES": "ec", "Ed": "ed"}


def make_key(kind: str) -> Any:
    """Return a new private key of a kind: rsa, ec, or ed."""
    match kind:
        case "rsa":
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)
        case "ec":
            return ec.generate_private_key(ec.SECP256R1())
    return ed25519.Ed25519PrivateKey.generate()


@cache
def shared_key(kind: str) -> Any:
    """Return the private key of a kind that all tests share, since making one takes time."""
    return make_key(kind)


def public_jwk(key: Any, kid: str | None, **more: Any) -> dict[str, Any]:
    """Return a key's public half as a JWK."""
    public = key.public_key()
    kinds = {rsa.RSAPrivateKey: RSAAlgorithm, ec.EllipticCurvePrivateKey: ECAlgorithm}
    algorithm: Any = next((made for kind, made in kinds.items() if isinstance(key, kind)), OKPAlgorithm)
    jwk: dict[str, Any] = json.loads(algorithm.to_jwk(public))
    jwk.pop("key_ops", None)
    return jwk | ({} if kid is None else {"kid": kid}) | more


class Issuer:
    """Signs tokens by one key of each kind, known by its kind's name."""

    def __init__(self, name: str = "https://issuer.example") -> None:
        self.name = name
        self.keys = {kind: shared_key(kind) for kind in ("rsa", "ec", "ed")}

    def jwks(self) -> dict[str, Any]:
        """Return the public keys as they are published."""
        return {"keys": [public_jwk(key, kid) for kid, key in self.keys.items()]}

    def token(self, algorithm: str = "ES256", kid: str | None = None, **claims: Any) -> str:
        """Return a token of application `shop`, to write and to read, for an hour; a claim of None is left out."""
        kid = kid or _OF_KIND[algorithm[:2]]
        held = {"iss": self.name, "aud": AUDIENCE, "azp": "shop", "scope": "write read", "exp": time.time() + 3600}
        said = {claim: value for claim, value in (held | claims).items() if value is not None}
        return jwt.encode(said, self.keys[kid], algorithm, headers={"kid": kid})

    def entry(self, **more: str) -> str:
        """Return its entry for applications.toml."""
        said = {"issuer": self.name, "audience": AUDIENCE} | more
        return "\n".join(["[[issuers]]", *(f'{name} = "{value}"' for name, value in said.items()), ""])


class IssuerServer(Issuer):
    """An issuer that publishes its keys at `uri`; `fetches` counts; `broken` makes it answer 500."""

    def __init__(self) -> None:
        super().__init__()
        self.fetches = 0
        self.broken = False
        app = web.Application()
        app.router.add_get("/keys", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)

    async def __aenter__(self) -> Self:
        self.uri = f"{await serve(self._runner)}/keys"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, _: web.Request) -> web.Response:
        self.fetches += 1
        return web.Response(status=500) if self.broken else web.json_response(self.jwks())
