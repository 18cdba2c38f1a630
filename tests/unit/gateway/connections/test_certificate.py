"""The gateway's certificate: files that do not fit are named, with what is wrong with them."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.connections.certificate import certificate_files, ending, load_pair
from schemas.settings import Settings, SettingsError
from tests.support.certificates import Authority


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Lend PEM files by name: a pair, another key, one with a password, one that holds nothing, one that is missing."""
    authority = Authority(tmp_path_factory.mktemp("tls") / "authority")
    certificate, key = authority.sign("door")
    other = authority.sign("other")[1]
    locked, empty = key.with_name("locked.key"), key.with_name("empty")
    subprocess.run(["openssl", "pkcs8", "-topk8", "-in", key, "-out", locked, "-passout", "pass:x"], check=True)
    empty.touch()
    both = key.with_name("both.pem")
    both.write_text(key.read_text() + certificate.read_text())
    missing = key.with_name("missing")
    return {
        "certificate": certificate, "key": key, "other": other, "locked": locked, "empty": empty, "both": both,
        "missing": missing, "ca": authority.certificate,
    }  # fmt: skip


def settings(files: dict[str, Path], certificate: str | None, key: str | None, ca: str | None = None) -> Settings:
    named = {"tls_certfile": certificate, "tls_keyfile": key, "tls_client_cafile": ca}
    return Settings.model_validate({name: files[file] for name, file in named.items() if file})


@pytest.mark.parametrize(
    ("certificate", "key", "ca", "sentence"),
    [
        ("missing", "key", None, "EYE_TLS_CERTFILE: {missing} can't be read: No such file or directory."),
        ("empty", "key", None, "EYE_TLS_CERTFILE: {empty} holds no certificate in PEM."),
        ("key", "key", None, "EYE_TLS_CERTFILE: {key} holds no certificate in PEM."),
        ("certificate", "missing", None, "EYE_TLS_KEYFILE: {missing} can't be read: No such file or directory."),
        ("certificate", "other", None, "EYE_TLS_KEYFILE: the key in {other} is not the one of the certificate in"),
        ("certificate", "locked", None, "EYE_TLS_KEYFILE: the key in {locked} has a password: give it without."),
        ("certificate", None, None, "EYE_TLS_KEYFILE: {certificate} holds no key that can be used"),
        ("certificate", "empty", None, "EYE_TLS_KEYFILE: {empty} holds no key that can be used"),
        ("certificate", "key", "missing", "EYE_TLS_CLIENT_CAFILE: {missing} can't be read: No such file or directory."),
        ("certificate", "key", "empty", "EYE_TLS_CLIENT_CAFILE: {empty} holds no certificate in PEM."),
        (None, "key", None, "EYE_TLS_CERTFILE is not set"),
        (None, None, "ca", "EYE_TLS_CERTFILE is not set"),
    ],
)
def test_a_file_that_does_not_fit_is_named(
    files: dict[str, Path], certificate: str | None, key: str | None, ca: str | None, sentence: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        load_pair(certificate_files(settings(files, certificate, key, ca)))  # type: ignore[arg-type]

    assert str(refused.value).startswith(sentence.format_map(files))


def test_certificate_and_key_may_share_a_file(files: dict[str, Path]) -> None:
    found = certificate_files(settings(files, "both", None, "ca"))

    assert found is not None
    assert load_pair(found).ends > datetime.now(UTC) + timedelta(days=80)


def test_without_a_certificate_the_gateway_speaks_http(files: dict[str, Path]) -> None:
    assert certificate_files(settings(files, None, None)) is None


@pytest.mark.parametrize(
    ("days", "said"), [(30, None), (13.5, "in 13 days"), (0.5, "in 0 days"), (-1, "the certificate ended at")]
)
def test_a_certificate_near_its_end_is_told(days: float, said: str | None) -> None:
    sentence = ending(datetime.now(UTC) + timedelta(days=days))

    assert sentence is None if said is None else said in str(sentence)
