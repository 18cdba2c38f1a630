"""A certificate authority of the test's own, and what it signs."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Authority:
    """Signs certificates for 127.0.0.1 and localhost, by the `openssl` command."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        self._directory = directory
        self.certificate = directory / "ca.pem"
        self._key = directory / "ca.key"
        new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        _openssl("req", "-x509", *new_key, "-keyout", self._key, "-out", self.certificate, "-subj", "/CN=authority")

    def sign(self, name: str, days: int = 90) -> tuple[Path, Path]:
        """Return the files of a new certificate, good for so many days, and of its key (PKCS 8, no password)."""
        certificate, key = self._directory / f"{name}.pem", self._directory / f"{name}.key"
        request = self._directory / f"{name}.csr"
        new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        names = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
        _openssl("req", "-new", *new_key, "-keyout", key, "-out", request, "-subj", f"/CN={name}", *names)
        signer = ["-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-copy_extensions", "copyall"]
        _openssl("x509", "-req", "-in", request, *signer, "-days", str(days), "-out", certificate)
        return certificate, key


def _openssl(*words: object) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
