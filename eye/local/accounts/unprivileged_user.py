"""The user that runs a server: the present one, or, for a server that refuses root, another one."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_LAUNCH = str(Path(__file__).with_name("launch.py"))
_NONE, _CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = -1, 1, 2
_NOBODY = 65534
_TRY = 'cd "$1" && "$2" --version'


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine, and the number of the one capability that it is given, or -1."""

    uid: int
    gid: int
    capability: int = _NONE

    def own(self, path: Path) -> None:
        """Make the account the owner of a file or an empty directory."""
        if self.uid != os.getuid():
            os.chown(path, self.uid, self.gid)

    def launch(self, command: Sequence[str]) -> list[str]:
        """Return the command that runs `command` as this account, as a child that ends when we do."""
        terms = map(str, (os.getpid(), self.uid, self.gid, self.capability))
        return [sys.executable, "-I", "-S", _LAUNCH, *terms, *command]

    def can_run(self, program: Path, folder: Path) -> bool:
        """Return whether the account may enter `folder` and run `program` there, which is tried (`--version`)."""
        command = self.launch(["/bin/sh", "-c", _TRY, "sh", str(folder), str(program)])
        return subprocess.run(command, cwd="/", capture_output=True, check=False).returncode == 0


def ourselves() -> Account:
    """Return the account we run as."""
    return Account(os.getuid(), os.getgid())


def not_root(data: Path) -> Account:
    """Return the account to run a server on `data`: never root's, without a capability.

    For root it is the owner of the data; of data that is not there yet, `postgres`, or `nobody` where
    there is no such user. No account is made.
    """
    return Account(*_owner(data)) if os.getuid() == 0 else ourselves()


def with_capability(account: Account, program: Path, folder: Path) -> Account | None:
    """Return the account with the least that it takes to run `program` in `folder`, None when nothing does.

    A folder that others may not enter, as root's home is, needs the capability to pass it (CAP_DAC_READ_SEARCH;
    a container has CAP_DAC_OVERRIDE instead). No permission of a file or folder is changed.
    """
    capabilities = (_NONE, _CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE) if os.getuid() == 0 else (_NONE,)
    accounts = (Account(account.uid, account.gid, capability) for capability in capabilities)
    return next((candidate for candidate in accounts if candidate.can_run(program, folder)), None)


def _owner(data: Path) -> tuple[int, int]:
    if data.exists() and (status := data.stat()).st_uid != 0:
        return status.st_uid, status.st_gid
    users = {user.pw_name: user for user in pwd.getpwall()}
    user = users.get("postgres") or users.get("nobody")
    return (user.pw_uid, user.pw_gid) if user else (_NOBODY, _NOBODY)
