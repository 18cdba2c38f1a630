"""Keys of applications, in applications.toml: changed by one process at a time, read as the gateway reads them."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import AoT

from gateway.access.api_keys import Scope, parse_applications
from gateway.access.api_keys import version_of as _version_of
from schemas.timestamp import in_utc

SCOPES = tuple(scope.value for scope in Scope)


class KeyFileError(Exception):
    """applications.toml can't be used; the message says why."""


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One key: its application, its SHA-256, its scopes, its end, and for people a label and the day it was made."""

    application: str
    sha256: str
    scopes: tuple[str, ...]
    label: str | None = None
    created: str | None = None
    expires: datetime | None = None

    @property
    def fingerprint(self) -> str:
        """The beginning of the SHA-256, enough to tell keys apart."""
        return self.sha256[:12]


def add_key(
    path: Path,
    application: str,
    scopes: Sequence[str],
    label: str | None = None,
    *,
    public: bool = False,
    origins: Sequence[str] = (),
    expires: datetime | None = None,
) -> str:
    """Make a key, append its SHA-256 to the file and return the key: it is kept nowhere. Raises KeyFileError.

    `public`: the key may stand in a page, and works from the application's origins alone; `origins` join these.
    `expires`: the time from which on it opens nothing.
    """
    key = f"eye_{secrets.token_urlsafe(32)}"
    entry: dict[str, Any] = {"sha256": hashlib.sha256(key.encode()).hexdigest(), "scopes": list(scopes)}
    entry |= {"public": True} if public else {}
    entry |= {"label": label} if label else {}
    entry |= {"created": f"{datetime.now(UTC):%Y-%m-%d}"}
    entry |= {"expires": expires.astimezone(UTC)} if expires else {}
    with _locked(path):
        document = _read(path)
        known = _application(document, application)
        _add_origins(known, origins)
        if public and not known.get("origins"):
            raise KeyFileError(f"{application} has no origins, and a public key works from these alone: name one")
        _append(known, "keys", entry, inline=True)
        _write(path, document)
    return key


def kept_key(kept: Path, path: Path, application: str, scopes: Sequence[str], **terms: Any) -> str:
    """Return the key that `kept` has, where it still opens something; else make one as `add_key` does, and keep it."""
    if kept.exists() and path.exists():
        key = kept.read_text().strip()
        digest = hashlib.sha256(key.encode()).hexdigest()
        if any(entry.sha256 == digest for entry in list_keys(path)):
            return key
    key = add_key(path, application, scopes, **terms)
    descriptor = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key)
    return key


def add_origins(path: Path, application: str, origins: Sequence[str]) -> None:
    """Let pages of these origins send for an application that is in the file or joins it. Raises KeyFileError."""
    with _locked(path):
        document = _read(path)
        _add_origins(_application(document, application), origins)
        _write(path, document)


def list_keys(path: Path) -> list[KeyEntry]:
    """Return every key of the file. Raises KeyFileError where the gateway would not take it."""
    return [_entry(application, key) for application, key in _keys(_read(path))]


def revoke_key(path: Path, fingerprint: str) -> list[KeyEntry]:
    """Take the keys out whose SHA-256 begins so, and return them. Raises KeyFileError."""
    if not path.exists():
        return []
    with _locked(path):
        document = _read(path)
        gone = [(a, key) for a, key in _keys(document) if key["sha256"].startswith(fingerprint)]
        entries = [_entry(application, key) for application, key in gone]
        for application, key in gone:
            application["keys"].remove(key)
        if gone:
            _write(path, document)
    return entries


def keys_version(path: Path) -> str:
    """Return the version of the file that a gateway shows at /readyz once it has read it. Raises OSError."""
    return _version_of(path.read_bytes())


def local_key(data_dir: Path, applications: Path) -> str:
    """Return the key of the local stack's application `local`, made when there is none yet."""
    return kept_key(data_dir / "local.key", applications, "local", SCOPES)


def _application(document: Any, name: str) -> Any:
    """Return an application of the file, added where it is not there."""
    if all(found["id"] != name for found in document.get("applications", [])):
        _append(document, "applications", {"id": name})
    return next(found for found in document["applications"] if found["id"] == name)


def _add_origins(application: Any, origins: Sequence[str]) -> None:
    known = application.get("origins", [])
    if new := [origin for origin in dict.fromkeys(origins) if origin not in known]:
        application["origins"] = [*known, *new]


def _append(container: Any, name: str, entry: dict[str, Any], *, inline: bool = False) -> None:
    """Append an entry to a list of tables, in the form that the list is written in."""
    if name not in container:
        container[name] = tomlkit.array() if inline else tomlkit.aot()
    table = tomlkit.table() if isinstance(container[name], AoT) else tomlkit.inline_table()
    table.update(entry)
    container[name].append(table)


def _entry(application: Any, key: Any) -> KeyEntry:
    label, created = key.get("label"), key.get("created")
    return KeyEntry(
        str(application["id"]),
        str(key["sha256"]),
        tuple(map(str, key["scopes"])),
        None if label is None else str(label),
        None if created is None else str(created),
        None if key.get("expires") is None else in_utc(key["expires"].unwrap()),
    )


def _keys(document: Any) -> Iterator[tuple[Any, Any]]:
    for application in document.get("applications", []):
        for key in application.get("keys", []):
            yield application, key


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep other processes from changing the file meanwhile; the lock is a file beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read(path: Path) -> Any:
    try:
        content = path.read_bytes() if path.exists() else b""
        parse_applications(content)
        document: Any = tomlkit.parse(content)
    except (OSError, ValueError) as error:
        raise KeyFileError(f"{path} can't be read: {error}") from error
    return document


def _write(path: Path, document: Any) -> None:
    """Replace the file in one step, on disk when this returns: a gateway reads it at any moment."""
    content = tomlkit.dumps(document).encode()
    try:
        parse_applications(content)
    except ValueError as error:
        raise KeyFileError(f"{path} was left as it is, since the gateway would refuse the change: {error}") from error
    scratch = path.with_name(f".{path.name}.new")
    with scratch.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if path.exists():
        shutil.copymode(path, scratch)
    scratch.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
