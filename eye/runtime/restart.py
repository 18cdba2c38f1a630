"""Crash-only workers: a process that fails for an unexpected reason replaces itself by a new one."""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
import time
from typing import NoReturn

log = logging.getLogger(__name__)

_COUNT = "EYE_RESTARTS_IN_A_ROW"
_LONGEST_PAUSE = 30.0
_STEADY_SECONDS = 60.0


def restart_process(reason: BaseException, ran_seconds: float) -> NoReturn:
    """Replace this process, at once, by a new one with the same command line and process id.

    Its connections and locks go, whatever still runs in it ends.
    """
    log.error("%s; beginning anew", reason)
    count = 0 if ran_seconds > _STEADY_SECONDS else _restarts()
    os.environ[_COUNT] = str(count + 1)
    logging.shutdown()
    os.execv(sys.executable, [sys.executable, "-m", "eye", *sys.argv[1:]])


def pause_after_restart() -> None:
    """Wait a moment when this process has begun anew, longer each time in a row."""
    if count := _restarts():
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # nothing is under way; the worker sets its own
        longest = min(0.5 * 2 ** (count - 1), _LONGEST_PAUSE)
        time.sleep(random.uniform(longest / 2, longest))


def _restarts() -> int:
    return int(os.environ.get(_COUNT, "0"))
