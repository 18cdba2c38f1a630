"""Limits of the operating system: open files, and connections that nobody reads."""

from __future__ import annotations

import logging
import resource
import socket

log = logging.getLogger(__name__)

RESERVED_FILES = 100
"""Open files that are not clients': Kafka's and Postgres' connections, libraries, logs."""


def limit_unread(listener: socket.socket, seconds: float) -> None:
    """Have the system end connections whose other side has gone, or reads nothing, for so long."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; connections inherit it
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))


def possible_connections(wanted: int) -> int:
    """Raise the limit of open files as far as needed and allowed; return how many connections fit below it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + RESERVED_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed == needed:
        return wanted
    possible = max(1, allowed - RESERVED_FILES)
    log.warning(
        "this process may open %d files, so %d connections instead of %d: raise the limit (ulimit -Hn), or lower"
        " EYE_MAX_CONNECTIONS",
        allowed,
        possible,
        wanted,
    )
    return possible
