"""Place of PostgreSQL's programs and data, so that its user reaches both."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from eye.local.accounts.unprivileged_user import Account, not_root, with_capability
from eye.local.classpath import digest
from eye.local.errors import LocalError

COPIES = Path("/var/cache/the-eye")
"""Directory of programs that are copied for a user who does not reach the wheel's."""

ELSEWHERE = Path("/var/lib/the-eye")
"""Directory of data whose server does not reach the data directory."""


@dataclass(frozen=True, slots=True)
class Place:
    """The user that runs the server, the directory of its programs, and its cluster's, which may not exist yet."""

    account: Account
    programs: Path
    cluster: Path

    def remark(self, data_dir: Path) -> str:
        """Return a sentence that says where the cluster is, nothing where it is in the data directory."""
        if self.cluster.is_relative_to(data_dir):
            return ""
        return f" Its data is in {self.cluster}, since the user it runs as may not enter {data_dir}."


def find_place(programs: Path, data_dir: Path) -> Place:
    """Return where a server with these programs runs for `data_dir`, an existing directory.

    That is where both lie. Only for a root that can't give a user the right to enter them (a container without
    that capability) it is a copy of the programs below `COPIES` and a cluster below `ELSEWHERE`, to which
    `cluster` in the data directory is a link. Raises LocalError when no user but root can run them.
    """
    cluster = data_dir / "cluster"
    account = not_root(cluster)
    _need_name(account.uid)
    if os.getuid() != 0:
        return Place(account, programs, cluster)
    if not cluster.is_symlink() and (able := with_capability(account, programs / "initdb", data_dir)):
        return Place(able, programs, cluster)
    if cluster.exists() and not cluster.is_symlink():
        raise LocalError(
            f"PostgreSQL refuses to run as root, and its data in {cluster} can't be reached by another user: "
            "run as an ordinary user, or move it to a directory that all may enter and name that in EYE_DATA_DIR."
        )
    return _place_elsewhere(account, programs, cluster)


def _place_elsewhere(account: Account, programs: Path, cluster: Path) -> Place:
    try:
        copy = _copied(programs)
        target = cluster.resolve() if cluster.exists() else _new_home(account, cluster)
    except OSError as error:
        raise LocalError(_refusal(cluster.parent, str(error))) from error
    if not account.can_run(copy / "initdb", target.parent):
        raise LocalError(_refusal(cluster.parent, f"user {account.uid} can't run {copy / 'initdb'}"))
    return Place(account, copy, target)


def _need_name(uid: int) -> None:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        raise LocalError(
            f"PostgreSQL runs as a user who has a name, and user {uid} has none in /etc/passwd: "
            "run as one who has, or set EYE_POSTGRES_DSN to a database you have."
        ) from None


def _refusal(data_dir: Path, why: str) -> str:
    return (
        f"PostgreSQL refuses to run as root, and no other user can run it on {data_dir} ({why}): "
        "run as an ordinary user, or set EYE_POSTGRES_DSN to a database you have."
    )


def _new_home(account: Account, cluster: Path) -> Path:
    """Make a directory for a new cluster, and the link that leads to it; returns where the cluster will be."""
    _open_to_all(ELSEWHERE)
    home = Path(tempfile.mkdtemp(prefix="postgres-", dir=ELSEWHERE))
    try:
        account.own(home)
    except OSError:
        home.rmdir()
        raise
    cluster.unlink(missing_ok=True)
    cluster.symlink_to(home / "cluster")
    return home / "cluster"


def _copied(programs: Path) -> Path:
    """Return the directory of a copy of the programs that all may run, made the first time."""
    packages = programs.parents[2]  # the programs look for libraries beside their package
    name = programs.parents[1].name
    _open_to_all(COPIES)
    status = (programs / "postgres").stat()  # its times are those of the wheel
    copy = COPIES / f"postgres-{digest(f'{name} {status.st_size} {status.st_mtime_ns}')}"
    if not copy.exists():
        with tempfile.TemporaryDirectory(dir=COPIES) as scratch:
            whole = Path(scratch) / "copy"
            for part in (Path(name, programs.parent.name), Path(f"{name}.libs")):
                shutil.copytree(packages / part, whole / part, symlinks=True)
            _make_readable(whole)
            whole.rename(copy)
    return copy / name / programs.parent.name / programs.name


def _open_to_all(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o755)


def _make_readable(tree: Path) -> None:
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(0o755 if mode & 0o100 else 0o644)
