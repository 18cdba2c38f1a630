"""An applications.toml as people write it, and what its keys open."""

from __future__ import annotations

import hashlib
from pathlib import Path

from gateway.access.api_keys import Grant, KeyRing

DIGEST = hashlib.sha256(b"one").hexdigest()

COMMENTED = f"""\
# who may send
[[applications]]  # the shop
id = "shop"
keys = [
  # from 2021
  {{ sha256 = "{DIGEST}", scopes = ["write", "read"] }},  # the till's
]

# nothing below is ours
[other]
x = 1
"""


def grant_of(path: Path, key: str) -> Grant | None:
    """Return what the gateway grants for a key, by its own reading of the file."""
    ring = KeyRing(path)
    found = ring.find(key)
    assert ring.fault is None
    return found
