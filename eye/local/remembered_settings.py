"""Values that a data directory keeps from one start to the next: ports, a password, a name."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable
from pathlib import Path

from eye.local.port_registry import claim_port, remembering_file

PORTS = range(20_000, 32_768)
"""The ports to choose from where none is preferred."""

_promised: set[int] = set()


def remembered(file: Path, make: Callable[[], str]) -> str:
    """Return the text that `file` keeps, made and written there the first time, for its owner alone."""
    if not file.exists():
        _write(file, make())
    return file.read_text()


def remembered_port(file: Path, wanted: int | None, other_than: int | None = None) -> int:
    """Return a port that is free now: `wanted`, else that of the last start, else any. The file keeps it.

    A port that another file remembers is not free, though nobody listens on it now.
    """
    last = int(file.read_text()) if file.exists() else None
    preferred = [port for port in (wanted, last) if port not in (None, other_than)]
    while True:
        port = free_port(*preferred, file=file)
        if port != other_than:
            _write(file, str(port))
            if claim_port(port, file):
                return port
        preferred = []


def free_port(*preferred: int | None, file: Path | None = None) -> int:
    """Return the first of the preferred ports that is free on 127.0.0.1, else one from 20000 to 32767.

    One that the data of a local server remembers is left to that server, unless it is remembered by `file`.

    Those lie below the range that the system gives to outgoing connections. In that range a client
    that knocks again and again at a broker which is down may get the broker's port as its own, connect
    to itself, and keep the broker from coming back. None of them is returned twice to one process: whoever
    asked before may not listen yet.
    """
    for port in preferred:
        if port is not None and _is_free(port) and _is_ours(port, file):
            return port
    candidates = (port for port in random.sample(PORTS, len(PORTS)) if port not in _promised)
    port = next(port for port in candidates if _is_free(port) and _is_ours(port, file))
    _promised.add(port)
    return port


def _is_ours(port: int, file: Path | None) -> bool:
    return remembering_file(port) in (None, None if file is None else file.absolute())


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # as the servers do: connections of the last run that linger don't matter
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _write(file: Path, text: str) -> None:
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    scratch.touch(mode=0o600)
    scratch.write_text(text)
    scratch.replace(file)
