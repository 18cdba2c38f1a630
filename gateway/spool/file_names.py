"""Names of the spool's files: topic, time of making, and the process that made them."""

from __future__ import annotations

import os
import re
import socket
import time
from typing import NamedTuple

_UNSAFE = re.compile(r"[^A-Za-z0-9.-]")
_NAME = re.compile(r"(?P<topic>.+)-(?P<time>\d{20})-(?:(?P<host>[A-Za-z0-9.-]+)-)?(?P<pid>\d+)\.spool")

SUFFIX = ".spool"


class FileName(NamedTuple):
    """The parts of a file's name; `host` is empty where the name has none."""

    topic: str
    host: str
    pid: int

    @property
    def owner(self) -> str:
        """The process that made the file, as `owner_name` calls it."""
        return owner_name(self.host, self.pid)


def owner_name(host: str, pid: int) -> str:
    """Return the name of a process: `HOST, pid N`."""
    return f"{host}, pid {pid}" if host else f"pid {pid}"


def this_owner() -> str:
    """Return the name of this process."""
    return owner_name(host_name(), os.getpid())


def host_name() -> str:
    """Return this machine's name, as it stands in names of files; in Kubernetes it is the pod's."""
    return _UNSAFE.sub("", socket.gethostname())[:64]


def new_file_name(topic: str) -> str:
    """Return a name that sorts behind all earlier ones of the topic."""
    return f"{topic}-{time.time_ns():020d}-{host_name()}-{os.getpid()}{SUFFIX}"


def parse_file_name(name: str) -> FileName | None:
    """Return the parts of a name; None when it is no name of a spool's file."""
    found = _NAME.fullmatch(name)
    return FileName(found["topic"], found["host"] or "", int(found["pid"])) if found else None
