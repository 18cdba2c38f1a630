"""Who runs a server: we ourselves, or, when we are root and the server refuses root, somebody else."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from eye.local.errors import LocalError

_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine, and the number of the one capability that it is given, or -1."""

    uid: int
    gid: int
    capability: int = -1

    def own(self, path: Path) -> None:
        """Make the account the owner of a file or an empty directory."""
        if self.uid != os.getuid():
            os.chown(path, self.uid, self.gid)


def ourselves() -> Account:
    """Return the account we run as."""
    return Account(os.getuid(), os.getgid())


def not_root(data: Path, program: Path) -> Account:
    """Return the account to run `program` on `data`: never root's.

    For root it is the owner of the data; of data that is not there yet, `postgres`, or `nobody` where
    there is no such user. No account is made and no permission changed: an account that may not enter the
    directories above gets the capability to pass them, as is the rule for everything below /root. Raises
    LocalError when that can't be given.
    """
    if os.getuid() != 0:
        return ourselves()
    uid, gid = _owner(data)
    folders = {*data.parents, *program.parents}
    closed = sorted(folder for folder in folders if not _may_enter(folder, uid, gid))
    return Account(uid, gid, _capability_to_enter(closed[0]) if closed else -1)


def _owner(data: Path) -> tuple[int, int]:
    if data.exists() and (status := data.stat()).st_uid != 0:
        return status.st_uid, status.st_gid
    users = {user.pw_name: user for user in pwd.getpwall()}
    user = users.get("postgres") or users["nobody"]
    return user.pw_uid, user.pw_gid


def _may_enter(folder: Path, uid: int, gid: int) -> bool:
    status = folder.stat()
    shift = 6 if status.st_uid == uid else 3 if status.st_gid == gid else 0
    return bool(status.st_mode >> shift & 1)


def _capability_to_enter(closed: Path) -> int:
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    ours = next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)
    for capability in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE):
        if ours >> capability & 1:
            return capability
    raise LocalError(
        f"PostgreSQL refuses to run as root, and no other user may enter {closed}: "
        f"run as an ordinary user, or allow it with `chmod o+x {closed}`."
    )
