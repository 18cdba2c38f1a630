"""A place: a copy of this checkout for one user, with its folders' modes, mounts and environment."""

from __future__ import annotations

import os
import pwd
import secrets
import shlex
import shutil
import signal
import site
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.examples import example

ROOT = Path(__file__).parents[2]
TABLES = ("Sent sample-events.ndjson: 65 ok.", "Rejected events", "future_timestamp", "Stopped.")
"""Texts that `make run ONCE=1` prints when each sample event was stored or rejected as it should be."""

_OURS = ("__editable__", "the_eye-", "the_eye_client-")
_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Place:
    """The folder, the user and the environment of the first command, and the texts that its output must contain.

    `page`: the document whose `make run` is typed. `user`: an ordinary one types, else root. `mode` and `owner` (root,
    or the user): of the folder around the checkout.
    `mounts`: shell lines that run first, as root, in namespaces of their own (`unshare`); $base is the place's folder.
    `variables` may use {base}; None removes one. `installed`: False installs from nothing.
    """

    name: str
    page: str = "docs/first-run.md"
    user: bool = False
    owner: str = "user"
    mode: int = 0o755
    folder: str = "the-eye"
    parent: Path | None = None
    umask: int = 0o022
    home: str | None = "{base}/home"
    variables: dict[str, str | None] = field(default_factory=dict)
    mounts: tuple[str, ...] = ()
    unshare: tuple[str, ...] = ()
    programs: dict[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    says: tuple[str, ...] = TABLES
    fails: bool = False
    installed: bool = True
    missing: Callable[[], str | None] = lambda: None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of the command: its code and all that it printed."""

    code: int
    output: str


def visit(place: Place) -> Outcome:
    """Type the command of the place's page, and return its end. Leaves nothing behind."""
    with laid_out(place) as command, typed(command) as process:
        try:
            said = process.communicate(timeout=_SECONDS)[0]
        except subprocess.TimeoutExpired as late:
            return Outcome(-1, f"not ended after {_SECONDS} s:\n{(late.stdout or b'').decode(errors='replace')}")
        return Outcome(process.returncode, said.decode(errors="replace"))


@contextmanager
def typed(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command as at a terminal of its own, its two outputs as one. What still runs at the end is killed."""
    process = subprocess.Popen(
        command, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # the servers end with the stack
            process.communicate()


def verify(place: Place, outcome: Outcome) -> list[str]:
    """Return what is wrong with an outcome, a line each."""
    wrong = [f"does not say: {text}" for text in place.says if text not in outcome.output]
    if (outcome.code != 0) != place.fails:
        wrong.append(f"ended with {outcome.code}")
    return wrong


@contextmanager
def laid_out(place: Place) -> Iterator[list[str]]:
    """Make a place for as long as the block runs; yields the command that types there."""
    parent = place.parent or Path("/var/tmp")
    base = Path(tempfile.mkdtemp(prefix="eye-place-", dir=parent))
    name = f"eye{secrets.token_hex(4)}"
    home = base / "home"
    try:
        os.chmod(base, 0o711)
        home.mkdir()
        subprocess.run(["useradd", "--no-create-home", "--no-log-init", "--home-dir", str(home), name], check=True)
        account = pwd.getpwnam(name)
        who = (account.pw_uid, account.pw_gid)
        checkout = home / place.folder
        _copy(checkout, place.umask)
        if place.installed:
            _install(checkout, place.umask)
        if place.user:
            subprocess.run(["chown", "-R", f"{who[0]}:{who[1]}", str(checkout)], check=True)
        os.chown(home, *(who if place.owner == "user" else (0, 0)))
        os.chmod(home, place.mode)
        yield _command(place, base, checkout, who)
    finally:
        subprocess.run(["userdel", name], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(base, ignore_errors=True)


def _copy(checkout: Path, umask: int) -> None:
    """Copy what git knows of this checkout, uncommitted changes included, as a clone under that umask would lie."""
    checkout.mkdir()
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    present = b"\0".join(name for name in files.split(b"\0") if name and (ROOT / os.fsdecode(name)).exists())
    packed = subprocess.run(
        ["tar", "--create", "--null", "--files-from=-"], cwd=ROOT, input=present, capture_output=True, check=True
    ).stdout
    unpack = f'umask {umask:o}; exec tar --extract --no-same-permissions --no-same-owner --directory="$1"'
    subprocess.run(["sh", "-c", unpack, "sh", str(checkout)], input=packed, check=True)


def _install(checkout: Path, umask: int) -> None:
    """Make `.venv` with the packages of this one, so that a place costs seconds; the project itself is installed."""
    script = 'umask "$1"; cd "$2"; "$3" -m venv --without-pip .venv'
    subprocess.run(["sh", "-c", script, "sh", f"{umask:o}", str(checkout), _base_python()], check=True)
    packages = Path(site.getsitepackages()[0])
    target = next((checkout / ".venv" / "lib").glob("python*")) / "site-packages"
    skipped = shutil.ignore_patterns(*(f"{prefix}*" for prefix in _OURS))
    shutil.copytree(packages, target, symlinks=True, ignore=skipped, dirs_exist_ok=True)
    if umask & 0o077:
        subprocess.run(["chmod", "-R", "go-rwx", str(checkout / ".venv")], check=True)
    pip = [
        ".venv/bin/python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--editable",
        ".",
    ]
    subprocess.run(["sh", "-c", f'umask {umask:o}; exec "$@"', "sh", *pip], cwd=checkout, check=True)
    (checkout / ".venv" / "installed").touch()


def _base_python() -> str:
    """Return an interpreter of this one's version that every user may run: the system's, where it is that version."""
    system = Path("/usr/bin") / f"python{sys.version_info.major}.{sys.version_info.minor}"
    return str(system if system.exists() else Path(sys.base_prefix) / "bin" / "python3")


def _command(place: Place, base: Path, checkout: Path, who: tuple[int, int]) -> list[str]:
    values = {"base": str(base)}
    programs = base / "programs"
    programs.mkdir()
    for name, text in place.programs.items():
        (programs / name).write_text(f"#!/bin/sh\n{text.format(**values)}\n")
        (programs / name).chmod(0o755)
    environment = [f"PATH={programs}:{os.environ['PATH']}"]
    removed = ["VIRTUAL_ENV"]
    if place.user:
        if place.home is None:
            removed.append("HOME")
        else:
            environment.append(f"HOME={place.home.format(**values)}")
    for name, value in place.variables.items():
        if value is None:
            removed.append(name)
        else:
            environment.append(f"{name}={value.format(**values)}")
    become = ["setpriv", f"--reuid={who[0]}", f"--regid={who[1]}", "--clear-groups"] if place.user else []
    without = [word for name in removed for word in ("-u", name)]
    typed_words = shlex.split(example(place.page, "make run").script)
    make = ["env", *without, *environment, *typed_words, "-C", str(checkout), *place.arguments]
    steps = [f"base={base}", *place.mounts, f"umask {place.umask:o}", 'exec "$@"']
    inside = ["sh", "-ec", "\n".join(steps), "sh", *become, *make]
    return ["unshare", *place.unshare, *inside] if place.unshare else inside
