"""The local stacks that run: each describes itself in its data directory, and is registered for this user."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

STACK_FILE = "stack.json"
"""The file in the data directory that describes the stack that runs there."""


class StackPart(msgspec.Struct, frozen=True):
    """One process of a stack; `pid` and `log` are None for a server that others run."""

    name: str
    address: str
    pid: int | None = None
    log: str | None = None
    started_at: str | None = None


class StackInfo(msgspec.Struct, frozen=True):
    """A stack: address and key of its gateway, the EYE_ variables of its processes, and the processes.

    `process` is the pid of `eye up` and the time it was started, as the kernel counts it.
    """

    url: str
    key: str
    environment: dict[str, str]
    data_dir: str = ""
    process: tuple[int, str] | None = None
    started_at: str = ""
    version: str = ""
    parts: list[StackPart] = []

    @property
    def runs(self) -> bool:
        """True while its `eye up` runs, as far as is known."""
        return self.process is None or process_start(self.process[0]) == self.process[1]


def read_stack(data_dir: Path) -> StackInfo | None:
    """Return the stack that runs in a data directory, None without one."""
    try:
        stack = msgspec.json.decode((data_dir / STACK_FILE).read_bytes(), type=StackInfo)
    except (OSError, msgspec.MsgspecError):
        return None
    return stack if stack.runs else None


def write_stack(data_dir: Path, stack: StackInfo) -> None:
    """Describe a stack in its data directory, for its owner alone, and register it."""
    scratch = data_dir / f".{STACK_FILE}.{os.getpid()}"
    scratch.touch(mode=0o600)
    scratch.write_bytes(msgspec.json.encode(stack))
    scratch.replace(data_dir / STACK_FILE)
    with suppress(OSError):  # a home that can't be written only means that the stack is found in its directory alone
        entry = _entry(data_dir)
        entry.parent.mkdir(parents=True, exist_ok=True)
        entry.write_text(str(data_dir.absolute()))


def remove_stack(data_dir: Path) -> None:
    """Remove description and registration of a stack that has ended."""
    (data_dir / STACK_FILE).unlink(missing_ok=True)
    with suppress(OSError):
        _entry(data_dir).unlink(missing_ok=True)


def find_stacks(data_dir: Path | None = None) -> list[StackInfo]:
    """Return the stacks that a command may mean.

    That of `data_dir` where one is given; else that of `.eye` in this directory or the next one above that has one;
    else all that run on this machine for this user.
    """
    if data_dir is not None:
        return [stack for stack in [read_stack(data_dir)] if stack is not None]
    here = Path.cwd()
    for directory in (here, *here.parents):
        if (stack := read_stack(directory / ".eye")) is not None:
            return [stack]
    return list(_registered())


def process_start(pid: int) -> str | None:
    """Return when a process was started, in a form to compare; None when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        pass
    try:
        os.kill(pid, 0)
    except OSError:
        return None
    return ""


def _registered() -> Iterator[StackInfo]:
    for entry in sorted(state_directory().glob("*.stack")):
        with suppress(OSError):
            stack = read_stack(Path(entry.read_text()))
            if stack is not None:
                yield stack
            else:
                entry.unlink(missing_ok=True)


def _entry(data_dir: Path) -> Path:
    return state_directory() / f"{hashlib.sha256(str(data_dir.absolute()).encode()).hexdigest()[:16]}.stack"


def state_directory() -> Path:
    """Return where this user's stacks are registered."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "the-eye"
