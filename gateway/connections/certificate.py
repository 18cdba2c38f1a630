"""The gateway's certificate: read at the start, and again when its files change."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509

from gateway.metrics import Metrics
from schemas.settings import Settings, SettingsError

log = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
"""Pause between two looks at the files."""

SOON = timedelta(days=14)
"""A certificate that ends within this time is a finding."""


class CertificateFiles(NamedTuple):
    """The PEM files that make a gateway speak HTTPS; `key` may be the certificate's own file."""

    certificate: Path
    key: Path
    client_authorities: Path | None


class Pair(NamedTuple):
    """A certificate with its key, ready for use, and the time at which it ends."""

    context: ssl.SSLContext
    begins: datetime
    ends: datetime


def certificate_files(settings: Settings) -> CertificateFiles | None:
    """Return the files that the settings name, None for a gateway that speaks HTTP. Raises SettingsError."""
    if settings.tls_certfile is None:
        if settings.tls_keyfile or settings.tls_client_cafile:
            raise SettingsError("EYE_TLS_CERTFILE is not set: a key or authorities alone make no HTTPS.")
        return None
    return CertificateFiles(
        settings.tls_certfile, settings.tls_keyfile or settings.tls_certfile, settings.tls_client_cafile
    )


def load_pair(files: CertificateFiles) -> Pair:
    """Read certificate, key and authorities. Raises SettingsError, which says which file is wrong and why."""
    certificate = _first_certificate(files.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    _check_readable("EYE_TLS_KEYFILE", files.key)
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise SettingsError(
                f"EYE_TLS_KEYFILE: the key in {files.key} is not the one of the certificate in {files.certificate}."
            ) from error
        raise SettingsError(f"EYE_TLS_KEYFILE: {files.key} holds no key that can be used: {_said(error)}.") from error
    except OSError as error:  # it went while it was read
        raise SettingsError(f"EYE_TLS_KEYFILE: {files.key} can't be read: {error.strerror}.") from error
    except _HasPassword as error:
        raise SettingsError(f"EYE_TLS_KEYFILE: the key in {files.key} has a password: give it without.") from error
    if files.client_authorities is not None:
        _check_readable("EYE_TLS_CLIENT_CAFILE", files.client_authorities)
        try:
            context.load_verify_locations(files.client_authorities)
        except OSError as error:
            raise SettingsError(
                f"EYE_TLS_CLIENT_CAFILE: {files.client_authorities} holds no certificate in PEM."
            ) from error
        context.verify_mode = ssl.CERT_REQUIRED
    return Pair(context, certificate.not_valid_before_utc, certificate.not_valid_after_utc)


class Certificate:
    """The pair that new connections are greeted with; those that are open keep theirs.

    `fault` says why changed files are not used, or that the certificate ends soon; it is None when all is well.
    """

    def __init__(self, files: CertificateFiles, metrics: Metrics) -> None:
        self._files = files
        self._seen = self._look()
        self._broken: str | None = None
        self._pair = load_pair(files)
        metrics.certificate_end.set_function(lambda: self._pair.ends.timestamp())
        metrics.certificate_faulty.set_function(lambda: self.fault is not None)

    @property
    def context(self) -> ssl.SSLContext:
        """The context for a new connection."""
        return self._pair.context

    @property
    def fault(self) -> str | None:
        """The sentence about what is wrong with the files or the certificate."""
        return self._broken or ending(self._pair.ends)

    async def watch(self) -> None:
        """Use changed files within CHECK_SECONDS, until cancelled."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            self.refresh()

    def refresh(self) -> None:
        """Read the files again if one has changed, or was not right; the pair before stays in use until they are."""
        seen = self._look()
        if seen == self._seen and self._broken is None:
            return
        self._seen = seen
        try:
            pair = load_pair(self._files)
            _check_valid_now(self._files.certificate, pair)
        except SettingsError as error:
            broken = f"the changed certificate can't be used, and the one before is: {error}"
            if broken != self._broken:
                log.error("%s", broken)
            self._broken = broken
            return
        self._pair, self._broken = pair, None
        log.info("the certificate was read again; it ends at %s", pair.ends.isoformat())

    def _look(self) -> tuple[tuple[int, int, int] | None, ...]:
        """Return what tells one version of the files from another."""
        return tuple(None if path is None else _version(path) for path in self._files)


def ending(ends: datetime) -> str | None:
    """Return a sentence about a certificate that ends soon, None for any other."""
    left = ends - datetime.now(UTC)
    if left > SOON:
        return None
    if left <= timedelta(0):
        return f"the certificate ended at {ends:%Y-%m-%d %H:%M}Z"
    return f"the certificate ends at {ends:%Y-%m-%d %H:%M}Z, in {left.days} days"


class _HasPassword(Exception):
    """A key is encrypted, and nobody is there to type its password."""


def _no_password() -> str:
    raise _HasPassword


def _version(path: Path) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def _check_valid_now(path: Path, pair: Pair) -> None:
    if not pair.begins <= datetime.now(UTC) < pair.ends:
        span = f"from {pair.begins:%Y-%m-%d %H:%M}Z to {pair.ends:%Y-%m-%d %H:%M}Z"
        raise SettingsError(f"EYE_TLS_CERTFILE: the certificate in {path} is valid {span} only.")


def _first_certificate(path: Path) -> x509.Certificate:
    content = _check_readable("EYE_TLS_CERTFILE", path)
    try:
        return x509.load_pem_x509_certificates(content)[0]
    except ValueError as error:
        raise SettingsError(f"EYE_TLS_CERTFILE: {path} holds no certificate in PEM.") from error


def _check_readable(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{name}: {path} can't be read: {error.strerror}.") from error


def _said(error: ssl.SSLError) -> str:
    return (error.reason or "no key in PEM").lower().replace("_", " ")
