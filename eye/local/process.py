"""A server as a child process: launched so that it can't outlive us, watched until it is ready, signalled."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from eye.local.accounts.unprivileged_user import Account, ourselves
from eye.local.errors import StartError

_LOG_LIMIT = 10_000_000
_PAUSE_SECONDS = 5.0


class Process:
    """One server process and its log, with what every kind of server shares.

    A child has a session of its own: Ctrl-C at the terminal reaches us alone, and we can drain before it
    goes. On Linux the kernel kills it when *the thread that started it* ends, however that comes about.
    So call `start` on the main thread, or on one that lives as long as the server shall.
    """

    def __init__(
        self, name: str, data_dir: Path, stop_signal: signal.Signals, env: Mapping[str, str] | None = None
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.log = self.data_dir / f"{name.lower()}.log"
        self._name = name
        self._stop_signal = stop_signal
        self._env = dict(env or {})
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """True while there is a process; a paused one counts."""
        return self._child is not None and self._child.poll() is None

    @property
    def _exited_in_order(self) -> bool:
        """True when it has ended, and not by SIGKILL."""
        return self._child is not None and self._child.poll() not in (None, -signal.SIGKILL)

    @property
    def pid(self) -> int | None:
        """The process id while there is a process."""
        return self._child.pid if self._child and self.running else None

    def stop(self, deadline: float = 30) -> None:
        """End it in good order; kill it when it has not ended after `deadline` seconds."""
        if self._child and self.running:
            self.resume()
            self._child.send_signal(self._stop_signal)
            try:
                self._child.wait(deadline)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it and its own children at once (SIGKILL)."""
        if self._child:
            family = self._family()
            self._child.kill()
            _signal(family, signal.SIGKILL)
            self._child.wait()

    def pause(self) -> None:
        """Let it and its own children hang (SIGSTOP): connections stay open, nothing answers from when this returns."""
        if self._child:
            self._child.send_signal(signal.SIGSTOP)
            stopped = [self._child.pid, *self._family()]
            _signal(stopped[1:], signal.SIGSTOP)
            wait_until(lambda: all(map(_hangs, stopped)), _PAUSE_SECONDS)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        if self._child:
            _signal(self._family(), signal.SIGCONT)
            self._child.send_signal(signal.SIGCONT)

    def _prepare(self) -> None:
        """Make the data directory, and put a log that has become long aside."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))

    def _environment(self) -> dict[str, str]:
        """Return the variables that it is started with: ours, and its own."""
        return os.environ | self._env

    def _launch(self, command: Sequence[str], account: Account | None = None) -> subprocess.Popen[bytes]:
        who = account or ourselves()
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                who.launch(command),
                cwd=self.data_dir,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self._child

    def _run(self, command: Sequence[str], account: Account | None = None) -> None:
        """Run a command to its end, its output in the log. Raises StartError when it fails."""
        if code := self._launch(command, account).wait():
            raise StartError(self._last_words(f"could not be prepared: {command[0]} ended with {code}"))

    def _wait_ready(self, ready: Callable[[], bool], deadline: float) -> None:
        """Wait until the server is ready. Raises StartError, and leaves no process, when it never is."""
        try:
            if not wait_until(lambda: not self.running or ready(), deadline):
                raise StartError(self._last_words(f"was not ready after {deadline:.0f} s"))
            if not self.running:
                raise StartError(self._last_words("ended before it was ready"))
        except BaseException:
            self.kill()
            raise

    def _last_words(self, what: str) -> str:
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
        return f"{self._name} {what}. The end of {self.log}:\n{tail}"

    def _family(self) -> list[int]:
        if not self._child or not self.running:
            return []
        family: list[int] = []
        for children in Path(f"/proc/{self._child.pid}/task").glob("*/children"):
            # a thread that has just ended has none
            with suppress(OSError):
                family.extend(map(int, children.read_text().split()))
        return family


def wait_until(condition: Callable[[], bool], deadline: float) -> bool:
    """Ask until the condition holds. Returns whether it did within `deadline` seconds."""
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def _hangs(pid: int) -> bool:
    """Tell whether each thread of a process hangs, or has ended: a signal takes a while to reach those that run."""
    for thread in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(OSError):
            if thread.read_text().rpartition(")")[2].split()[0] not in "TtZX":
                return False
    return True


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
