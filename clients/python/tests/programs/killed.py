"""Processes that send events by one queue on disk until they are killed, two at a time.

`python killed.py URL KEY QUEUE NOTES KILLS`: NOTES has the id of each event that `send` has returned for, a line each.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from typing import Any

from eye_client import Eye

LIFE_SECONDS = 0.25
LEFT_SECONDS = 120.0


def main(url: str, key: str, queue: str, notes: str, kills: int) -> None:
    """Kill so many processes, then deliver what they left."""
    options: dict[str, Any] = {"disk": queue, "linger": 0.01, "min_backoff": 0.05}
    for _ in range((kills + 1) // 2):
        children = [_child(url, key, notes, options) for _ in range(2)]
        for child in children:
            time.sleep(random.random() * LIFE_SECONDS)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    with Eye(url, key, **options) as eye:
        until = time.monotonic() + LEFT_SECONDS
        while eye.counts().waiting and time.monotonic() < until:
            time.sleep(0.05)
        print(eye.counts())


def _child(url: str, key: str, notes: str, options: dict[str, Any]) -> int:
    """Start a process that sends for as long as it lives."""
    child = os.fork()
    if child == 0:
        file = os.open(notes, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        eye = Eye(url, key, **options)
        number = 0
        while True:
            number += 1
            data = {"host": "www.example.com", "path": f"/{number}"}
            if event_id := eye.send("page interaction", "pageview", f"killed-{os.getpid()}", data):
                os.write(file, event_id.encode() + b"\n")
            time.sleep(random.random() * 0.004)
    return child


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
