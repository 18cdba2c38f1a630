"""Access tokens: which are as good as a key, and why each other one is refused."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest

from gateway.access import tokens as tokens_module
from gateway.access.api_keys import CHECK_SECONDS, Grant, Limit, Scope, parse_applications
from gateway.access.key_sets import MISS_SECONDS, FetchedKeys, read_key_set
from gateway.problems import IssuerUnavailable
from tests.support.issuer import AUDIENCE, Issuer, public_jwk
from tests.unit.gateway.token_office import BOTH, Office


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


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
