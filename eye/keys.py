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

SCOPES = ("write", "read")


class KeyFileError(Exception):
    """applications.toml can't be used; the message says why."""


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One key: its application, the beginning of its SHA-256, what it may do."""

    application: str
    fingerprint: str
    scopes: tuple[str, ...]


def add_key(path: Path, application: str, scopes: Sequence[str]) -> str:
    """Make a key, append its SHA-256 to the file and return the key: it is kept nowhere."""
    key = f"eye_{secrets.token_urlsafe(32)}"
    document = _read(path)
    entry = tomlkit.inline_table()
    entry.update({"sha256": hashlib.sha256(key.encode()).hexdigest(), "scopes": list(scopes)})
    applications = document.setdefault("applications", tomlkit.aot())
    for known in applications:
        if known["id"] == application:
            known["keys"].append(entry)
            break
    else:
        table = tomlkit.table()
        table.update({"id": application, "keys": tomlkit.array()})
        table["keys"].append(entry)
        applications.append(table)
    _write(path, document)
    return key


def list_keys(path: Path) -> list[KeyEntry]:
    """Return every key of the file."""
    return [
        KeyEntry(application["id"], key["sha256"][:12], tuple(key["scopes"])) for application, key in _keys(_read(path))
    ]


def revoke_key(path: Path, fingerprint: str) -> list[KeyEntry]:
    """Take the keys out whose SHA-256 begins so; returns them."""
    document = _read(path)
    gone = [(a, key) for a, key in _keys(document) if key["sha256"].startswith(fingerprint)]
    for application, key in gone:
        application["keys"].remove(key)
    if gone:
        _write(path, document)
    return [KeyEntry(a["id"], key["sha256"][:12], tuple(key["scopes"])) for a, key in gone]


def local_key(data_dir: Path, applications: Path) -> str:
    """Return the key of the local stack's application `local`, made when there is none yet."""
    kept = data_dir / "local.key"
    if kept.exists() and applications.exists():
        key = kept.read_text().strip()
        digest = hashlib.sha256(key.encode()).hexdigest()
        if any(entry.fingerprint == digest[:12] for entry in list_keys(applications)):
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
        return tomlkit.parse(path.read_text()) if path.exists() else tomlkit.document()
    except (OSError, ValueError) as error:
        raise KeyFileError(f"{path} can't be read: {error}") from error


def _write(path: Path, document: Any) -> None:
    """Replace the file in one step: the gateway reads it at any moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_text(tomlkit.dumps(document))
    beside.replace(path)
