"""Time from the start of `eye up` to the answer to a first POST, servers included."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from bench.corpus import encoded, events
from bench.report import Result
from eye.local.process import wait_until
from eye.local.registry import read_stack

LIMIT_SECONDS = 15.0


def measure(*, again: bool) -> list[Result]:
    """Start all of it with a new data directory; `again`: and once more with the same directory."""
    with tempfile.TemporaryDirectory(prefix="eye-bench-up-") as directory:
        starts = [_start(Path(directory)) for _ in range(1 + again)]
    figure = ", again ".join(f"{seconds:.1f} s" for seconds in starts)
    return [
        Result(
            "start", "`eye up` to the answer of the first POST", figure, "",
            f"<= {LIMIT_SECONDS:.0f} s", max(starts) <= LIMIT_SECONDS,
        )
    ]  # fmt: skip


def _start(data_dir: Path) -> float:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("EYE_")}
    begin = time.monotonic()
    stack = subprocess.Popen(
        [sys.executable, "-m", "eye", "up"], env=variables | {"EYE_DATA_DIR": str(data_dir)}, stdout=subprocess.DEVNULL
    )
    try:
        if not wait_until(lambda: _accepts(data_dir), 120):
            raise RuntimeError("`eye up` answered no POST")
        return time.monotonic() - begin
    finally:
        stack.send_signal(signal.SIGTERM)
        stack.wait(60)


def _accepts(data_dir: Path) -> bool:
    """Post an event to the stack of a data directory; False while there is none."""
    try:
        stack = read_stack(data_dir)
    except ValueError:  # it is being written
        return False
    if stack is None:
        return False
    body = encoded(next(events(1)))
    headers = {"Authorization": f"Bearer {stack.key}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{stack.url}/events/", body, headers), timeout=5) as answer:
        return bool(answer.status == 202)
