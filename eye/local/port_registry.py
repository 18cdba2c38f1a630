"""The ports that the data of local servers remembers, of all stacks of this user, whether they run or not.

A server that comes back finds its old port free of other stacks, so that no process of one stack finds another
stack's server at its address. A port is free again when the data that remembers it is gone.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from eye.local.registry import state_directory


def remembering_file(port: int) -> Path | None:
    """Return the file that remembers a port, None where none does (any more)."""
    try:
        file = Path(_entry(port).read_text())
        return file if file.read_text().strip() == str(port) else None
    except OSError:
        return None


def claim_port(port: int, file: Path) -> bool:
    """Register that a file remembers a port, which it has to do by now; False where another file does.

    Where the registry can't be written, a port belongs to whoever takes it.
    """
    entry, ours = _entry(port), str(file.absolute())
    scratch = entry.with_name(f".{port}.{os.getpid()}")
    with suppress(OSError):
        entry.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_text(ours)
        if remembering_file(port) in (None, file.absolute()):
            scratch.replace(entry)
        scratch.unlink(missing_ok=True)
        return remembering_file(port) in (None, file.absolute())
    return True


def _entry(port: int) -> Path:
    return state_directory() / "ports" / str(port)
