"""Crash-only workers: a process that fails for a reason nobody foresaw begins anew, in its own place."""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
import time

log = logging.getLogger(__name__)

_COUNT = "EYE_RESTARTS_IN_A_ROW"
_LONGEST_PAUSE = 30.0
_STEADY_SECONDS = 60.0


def begin_anew(reason: BaseException, ran_seconds: float) -> None:
    """Replace this process by a new one with the same command line, after a pause that grows each time.

    Never returns. The process id stays, locks and connections go. SIGTERM in the pause ends it.
    """
    count = 0 if ran_seconds > _STEADY_SECONDS else int(os.environ.get(_COUNT, "0"))
    pause = random.uniform(0.5, 1.0) * min(0.5 * 2**count, _LONGEST_PAUSE)
    log.error("%s; beginning anew in %.1f s", reason, pause)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    time.sleep(pause)
    os.environ[_COUNT] = str(count + 1)
    os.execv(sys.executable, [sys.executable, "-m", "eye", *sys.argv[1:]])
