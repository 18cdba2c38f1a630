"""Access tokens: which are as good as a key, and why each other one is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.access import tokens as tokens_module
from gateway.access.api_keys import CHECK_SECONDS, Grant, KeyRing, Limit, Scope, parse_applications
from gateway.access.key_sets import MISS_SECONDS, FetchedKeys, read_key_set
from gateway.access.tokens import MAX_TOKEN, Tokens
from gateway.metrics import Metrics
from gateway.problems import InvalidToken, IssuerUnavailable
from tests.support.issuer import AUDIENCE, Issuer, make_key, public_jwk, shared_key

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


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "EdDSA"])
def test_a_token_of_any_asymmetric_algorithm_is_a_key(office: Office, algorithm: str) -> None:
    assert office.find(office.issuer.token(algorithm)) == Grant("shop", BOTH)


@pytest.mark.parametrize(
    ("claims", "grant"),
    [
        ({"scope": "openid write"}, Grant("shop", frozenset({Scope.WRITE}))),
        ({"scope": ["read"]}, Grant("shop", frozenset({Scope.READ}))),
        ({"scope": None}, Grant("shop", frozenset())),
        ({"scope": "writer admin-read"}, Grant("shop", frozenset())),
        ({"aud": ["other", AUDIENCE]}, Grant("shop", BOTH)),
        ({"azp": "blog"}, Grant("blog", BOTH)),
        ({"nbf": time.time() - 10}, Grant("shop", BOTH)),
    ],
)
def test_the_claims_say_application_and_scopes(office: Office, claims: dict[str, Any], grant: Grant) -> None:
    assert office.find(office.issuer.token(**claims)) == grant


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": time.time() - 1}, "expired"),
        ({"exp": None}, "malformed"),
        ({"exp": "tomorrow"}, "malformed"),
        ({"exp": True}, "malformed"),
        ({"exp": 10**300}, "malformed"),
        ({"nbf": time.time() + 3000}, "not_yet_valid"),
        ({"nbf": "soon"}, "malformed"),
        ({"aud": "another"}, "audience"),
        ({"aud": None}, "audience"),
        ({"aud": [[AUDIENCE]]}, "audience"),
        ({"iss": "https://issuer.example/"}, "issuer"),
        ({"iss": "https://elsewhere.example"}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"azp": None}, "application"),
        ({"azp": ""}, "application"),
        ({"azp": "x" * 129}, "application"),
        ({"azp": 7}, "application"),
    ],
)
def test_a_claim_that_does_not_fit_is_refused(office: Office, claims: dict[str, Any], reason: str) -> None:
    encoded = {name: value for name, value in claims.items() if name != "iss"}
    issuer = office.issuer
    token = issuer.token(**encoded)
    if "iss" in claims or reason == "malformed":
        held = {"iss": issuer.name, "aud": AUDIENCE, "azp": "shop", "exp": time.time() + 60} | claims
        said = {name: value for name, value in held.items() if value is not None}
        token = jwt.PyJWS().encode(json.dumps(said).encode(), issuer.keys["ec"], "ES256", headers={"kid": "ec"})

    assert office.refusal(token) == reason


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "HS512", "ES256K", "", "RS256 "])
def test_no_other_algorithm_is_taken(office: Office, algorithm: str) -> None:
    claims = {"iss": office.issuer.name, "aud": AUDIENCE, "azp": "shop", "exp": time.time() + 60}

    assert office.refusal(unsigned({"alg": algorithm, "kid": "rsa"}, claims, b"x")) == "algorithm"


def test_a_public_key_is_no_secret_of_a_hmac(office: Office) -> None:
    pem = office.issuer.keys["rsa"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    claims = {"iss": office.issuer.name, "aud": AUDIENCE, "azp": "shop", "exp": time.time() + 60}
    signed = unsigned({"alg": "HS256", "kid": "rsa"}, claims).rstrip(".")
    signature = hmac.digest(pem, signed.encode(), "sha256")
    token = f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"

    assert office.refusal(token) == "algorithm"


@pytest.mark.parametrize(("algorithm", "kid"), [("RS256", "ec"), ("ES256", "rsa"), ("EdDSA", "rsa"), ("ES384", "ec")])
def test_an_algorithm_that_the_key_is_not_for_is_refused(office: Office, algorithm: str, kid: str) -> None:
    claims = {"iss": office.issuer.name, "aud": AUDIENCE, "azp": "shop", "exp": time.time() + 60}

    assert office.refusal(unsigned({"alg": algorithm, "kid": kid}, claims, b"x" * 64)) == "algorithm"


def test_a_key_that_names_its_algorithm_is_for_no_other(office: Office) -> None:
    office.publish({"keys": [public_jwk(office.issuer.keys["rsa"], "rsa", alg="PS256")]})

    assert office.find(office.issuer.token("PS256")) is not None
    assert office.refusal(office.issuer.token("RS256")) == "algorithm"


@pytest.mark.parametrize("kind", ["rsa", "ec", "ed"])
def test_a_signature_by_another_key_is_refused(office: Office, kind: str) -> None:
    other = Issuer()
    other.keys = {kind: make_key(kind)}
    algorithm = {"rsa": "RS256", "ec": "ES256", "ed": "EdDSA"}[kind]

    assert office.refusal(other.token(algorithm)) == "signature"


def test_a_changed_claim_is_refused(office: Office) -> None:
    head, _, signature = office.issuer.token().split(".")
    claims = unsigned({}, {"iss": office.issuer.name, "aud": AUDIENCE, "azp": "bank", "exp": time.time() + 60})

    assert office.refusal(f"{head}.{claims.split('.')[1]}.{signature}") == "signature"


@pytest.mark.parametrize(
    "token",
    [
        "a.b.c",
        "..",
        "eyJ.eyJ.x",
        "é.é.é",
        f"{'x' * MAX_TOKEN}.y.z",
        unsigned({"alg": 1}, {}),
        unsigned({}, {}),
        f"{base64.urlsafe_b64encode(b'[' * 4000).decode()}.e30.x",
        unsigned({"alg": "ES256", "crit": ["b64"]}, {}),
    ],
)
def test_what_is_no_token_is_refused(office: Office, token: str) -> None:
    assert office.refusal(token) == "malformed"


def test_an_unknown_key_of_a_file_is_refused_at_once(office: Office) -> None:
    office.issuer.keys["new"] = shared_key("ec")

    assert office.refusal(office.issuer.token(kid="new")) == "unknown_key"


def test_a_token_without_a_key_id_means_the_only_one(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.access.key_sets._FILE_SECONDS", 0.0)
    claims = {"iss": office.issuer.name, "aud": AUDIENCE, "azp": "shop", "exp": time.time() + 60}
    token = jwt.encode(claims, office.issuer.keys["ec"], "ES256")
    assert office.find(token) is not None

    office.publish({"keys": [public_jwk(shared_key("ec"), "a"), public_jwk(make_key("ec"), "b")]})

    assert office.refusal(token) == "unknown_key"


def test_an_application_of_the_file_lends_limits_and_origins(office: Office) -> None:
    office.applications.write_text(
        '[[applications]]\nid = "shop"\nrate = 5\norigins = ["https://shop.example"]\n'
        + office.issuer.entry(jwks_file="keys.json")
    )

    limits = (Limit("application shop", 5, 5),)
    assert office.find(office.issuer.token()) == Grant("shop", BOTH, limits, frozenset({"https://shop.example"}))
    assert office.ring.origins == {"https://shop.example"}
    assert office.ring.applications == {"shop"}


def test_another_claim_may_name_the_application(office: Office) -> None:
    office.applications.write_text(office.issuer.entry(jwks_file="keys.json", application_claim="client_id"))

    assert office.find(office.issuer.token(azp=None, client_id="till")) == Grant("till", BOTH)


def test_a_verified_token_is_not_verified_again(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    token = office.issuer.token()
    office.find(token)
    monkeypatch.setattr(tokens_module, "_SIGNATURES", None)

    assert office.find(token) == Grant("shop", BOTH)


def test_a_remembered_token_expires(office: Office) -> None:
    token = office.issuer.token(exp=office.now + 10)
    office.find(token)

    office.now += 10

    assert office.refusal(token) == "expired"


def test_an_issuer_taken_out_of_the_file_opens_nothing(office: Office) -> None:
    token = office.issuer.token()
    office.find(token)
    office.applications.write_text("")

    office.ticks += CHECK_SECONDS

    assert office.find(token) is None


def test_a_key_taken_out_of_its_file_opens_nothing(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.access.key_sets._FILE_SECONDS", 0.0)
    token = office.issuer.token("RS256")
    office.find(token)

    office.publish({"keys": [public_jwk(office.issuer.keys["ec"], "ec")]})

    assert office.refusal(token) == "unknown_key"


def test_no_more_tokens_are_remembered_than_allowed(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens_module, "MAX_VERIFIED", 3)
    for number in range(5):
        office.find(office.issuer.token(jti=number))

    assert len(office.tokens._verified) == 3


def test_keys_that_cannot_be_read_are_told_and_mended(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.access.key_sets._FILE_SECONDS", 0.0)
    office.keys.write_text("{}")
    with pytest.raises(IssuerUnavailable):
        office.find(office.issuer.token())
    assert "it has no key that can be used" in str(office.tokens.fault)

    office.publish(office.issuer.jwks())

    assert office.find(office.issuer.token()) is not None
    assert office.tokens.fault is None


@pytest.mark.parametrize(
    "left_out",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "x"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"kty": "RSA"},
        {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"},
        {"kty": "OKP", "crv": "X25519", "x": "AA"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        public_jwk(shared_key("rsa"), "x", use="enc"),
        public_jwk(shared_key("rsa"), "x", key_ops=["encrypt"]),
        public_jwk(shared_key("rsa"), "x", alg="HS256"),
        {},
    ],
)
def test_a_key_that_verifies_no_signature_is_left_out(left_out: dict[str, Any]) -> None:
    keys = read_key_set(json.dumps({"keys": [left_out, public_jwk(shared_key("ec"), "good"), 7]}).encode())

    assert [key.id for key in keys] == ["good"]


@pytest.mark.parametrize(
    "entry",
    [
        'issuer = "x"\naudience = "y"',
        'issuer = "x"\naudience = "y"\njwks_uri = "http://a/"\njwks_file = "b"',
        'issuer = "x"\naudience = "y"\njwks_uri = "ftp://a/"',
        'issuer = "x"\njwks_file = "b"',
        'audience = "y"\njwks_file = "b"',
        'issuer = "x"\naudience = "y"\njwks_file = "b"\nalgorithms = ["none"]',
        'issuer = ""\naudience = "y"\njwks_file = "b"',
        'issuer = "x"\naudience = "y"\njwks_file = "b"\n[[issuers]]\nissuer = "x"\naudience = "z"\njwks_file = "b"',
    ],
)
def test_an_entry_that_is_not_right_spoils_the_file(entry: str) -> None:
    with pytest.raises(ValueError, match=r"issuer|jwks|audience|algorithms"):
        parse_applications(f"[[issuers]]\n{entry}\n".encode())


def test_a_flood_of_unknown_keys_asks_for_one_fetch_a_minute() -> None:
    now, wakes = [0.0], []
    keys = FetchedKeys("issuer", "http://127.0.0.1:1/", lambda: wakes.append(now[0]), lambda: now[0])
    keys._keys, keys._fetched, keys._due_at = read_key_set(json.dumps(Issuer().jwks()).encode()), None, 300.0

    for second in range(int(3 * MISS_SECONDS)):
        now[0] = float(second)
        for number in range(5):
            try:
                assert keys.find(f"unknown {number}", "ES256") is None
            except IssuerUnavailable:
                assert keys.due
                keys._due_at, keys._fetched = 1e9, None  # as if fetched

    assert wakes == [0.0, MISS_SECONDS, 2 * MISS_SECONDS]


def test_a_token_is_hashed_as_a_key_is(office: Office) -> None:
    token = office.issuer.token()
    office.find(token)

    assert list(office.tokens._verified) == [hashlib.sha256(token.encode()).hexdigest()]
