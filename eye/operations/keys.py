"""Keys of applications, in applications.toml."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import AoT

SCOPES = ("write", "read")


class KeyFileError(Exception):
    """applications.toml can't be used; the message says why."""


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One key: its application, its SHA-256, what it may do."""

    application: str
    sha256: str
    scopes: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """The beginning of the SHA-256, enough to tell keys apart."""
        return self.sha256[:12]


def add_key(path: Path, application: str, scopes: Sequence[str]) -> str:
    """Make a key, append its SHA-256 to the file and return the key: it is kept nowhere."""
    key = f"eye_{secrets.token_urlsafe(32)}"
    document = _read(path)
    entry = {"sha256": hashlib.sha256(key.encode()).hexdigest(), "scopes": list(scopes)}
    known = [found for found in document.get("applications", []) if found["id"] == application]
    if not known:
        _append(document, "applications", {"id": application})
        known = [found for found in document["applications"] if found["id"] == application]
    _append(known[0], "keys", entry, inline=True)
    _write(path, document)
    return key


def _append(container: Any, name: str, entry: dict[str, Any], *, inline: bool = False) -> None:
    """Append an entry to a list of tables, in the form that the list is written in."""
    if name not in container:
        container[name] = tomlkit.array() if inline else tomlkit.aot()
    table = tomlkit.table() if isinstance(container[name], AoT) else tomlkit.inline_table()
    table.update(entry)
    container[name].append(table)


def list_keys(path: Path) -> list[KeyEntry]:
    """Return every key of the file."""
    return [KeyEntry(application["id"], key["sha256"], tuple(key["scopes"])) for application, key in _keys(_read(path))]


def revoke_key(path: Path, fingerprint: str) -> list[KeyEntry]:
    """Take the keys out whose SHA-256 begins so; returns them."""
    document = _read(path)
    gone = [(a, key) for a, key in _keys(document) if key["sha256"].startswith(fingerprint)]
    for application, key in gone:
        application["keys"].remove(key)
    if gone:
        _write(path, document)
    return [KeyEntry(a["id"], key["sha256"], tuple(key["scopes"])) for a, key in gone]


def local_key(data_dir: Path, applications: Path) -> str:
    """Return the key of the local stack's application `local`, made when there is none yet."""
    kept = data_dir / "local.key"
    if kept.exists() and applications.exists():
        key = kept.read_text().strip()
        digest = hashlib.sha256(key.encode()).hexdigest()
        if any(entry.sha256 == digest for entry in list_keys(applications)):
            return key
    key = add_key(applications, "local", SCOPES)
    descriptor = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key)
    return key


def _keys(document: Any) -> Iterator[tuple[Any, Any]]:
    for application in document.get("applications", []):
        for key in application.get("keys", []):
            yield application, key


def _read(path: Path) -> Any:
    try:
        document: Any = tomlkit.parse(path.read_text()) if path.exists() else tomlkit.document()
    except (OSError, ValueError) as error:
        raise KeyFileError(f"{path} can't be read: {error}") from error
    if not _has_shape(document):
        raise KeyFileError(f"{path} is no list of [[applications]] with an id and keys of sha256 and scopes")
    return document


def _has_shape(document: Any) -> bool:
    applications = document.get("applications", [])
    return isinstance(applications, list) and all(
        isinstance(application, dict)
        and isinstance(application.get("id"), str)
        and isinstance(application.get("keys", []), list)
        and all(isinstance(key, dict) and {"sha256", "scopes"} <= key.keys() for key in application.get("keys", []))
        for application in applications
    )


def _write(path: Path, document: Any) -> None:
    """Replace the file in one step: the gateway reads it at any moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_text(tomlkit.dumps(document))
    beside.replace(path)
