"""A process that is told to hang hangs when the call returns, each of its threads."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from eye.local.process import Process, wait_until

BUSY = """
import threading
for _ in range(4):
    threading.Thread(target=lambda: [number for number in iter(int, 1)], daemon=True).start()
print("busy", flush=True)
threading.Event().wait()
"""


def threads_of(process: Process) -> set[str]:
    """Return the states of a process's threads, as the kernel tells them."""
    assert process._child is not None
    states = Path(f"/proc/{process._child.pid}/task").glob("*/stat")
    return {state.read_text().rpartition(")")[2].split()[0] for state in states}


def test_no_thread_of_a_paused_process_runs(tmp_path: Path) -> None:
    process = Process("busy", tmp_path, signal.SIGTERM)
    process._launch([sys.executable, "-c", BUSY])
    try:
        assert wait_until(lambda: "busy" in process.log.read_text(), 60)
        process.pause()
        assert threads_of(process) == {"T"}
        process.resume()
        assert wait_until(lambda: "T" not in threads_of(process), 60)
    finally:
        process.kill()
