"""`eye doctor` about issuers of tokens and their files of keys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eye.operations.doctor.deployment import _issuers, _keys
from schemas.settings import Settings
from tests.support.issuer import Issuer


@pytest.mark.parametrize(
    ("content", "ok", "seen"),
    [
        (json.dumps(Issuer().jwks()), True, "3 keys"),
        ("{}", False, "it has no key that can be used"),
        (None, False, "No such file or directory"),
    ],
)
def test_a_file_of_keys_is_read_as_the_gateway_does(tmp_path: Path, content: str | None, ok: bool, seen: str) -> None:
    settings, issuer = Settings(data_dir=tmp_path), Issuer()
    settings.applications_file.write_text(issuer.entry(jwks_file="keys.json"))
    if content is not None:
        (tmp_path / "keys.json").write_text(content)

    (finding,) = _issuers(settings)

    assert (finding.what, finding.ok) == (f"issuer {issuer.name}", ok)
    assert seen in finding.seen
    assert [found.ok for found in _keys(settings)] == [True]


def test_keys_at_an_address_are_the_gateways_business(tmp_path: Path) -> None:
    settings, issuer = Settings(data_dir=tmp_path), Issuer()
    settings.applications_file.write_text(issuer.entry(jwks_uri="https://issuer.example/keys"))

    assert [(found.ok, found.seen) for found in _issuers(settings)] == [
        (True, "its keys are at https://issuer.example/keys")
    ]
