"""Signatures of access tokens: the algorithms and keys that are taken, and those that are not."""

from __future__ import annotations

import base64
import hmac
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.access.api_keys import Grant
from gateway.access.key_sets import read_key_set
from gateway.access.tokens import MAX_TOKEN
from tests.support.issuer import AUDIENCE, Issuer, make_key, public_jwk, shared_key
from tests.unit.gateway.token_office import BOTH, Office


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "EdDSA"])
def test_a_token_of_any_asymmetric_algorithm_is_a_key(office: Office, algorithm: str) -> None:
    assert office.find(office.issuer.token(algorithm)) == Grant("shop", BOTH)


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
