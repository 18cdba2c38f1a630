"""The end and the fork of a process: events are delivered before, and a child has an engine of its own."""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from typing import Protocol


class Forkable(Protocol):
    """A part of a client that has to know of forks, and is closed at the end of the program."""

    def before_fork(self) -> None:
        """Prepare for a fork, in the thread that forks."""

    def after_fork_in_parent(self) -> None:
        """Go on after a fork."""

    def after_fork_in_child(self) -> None:
        """Begin anew in the child of a fork."""

    def close(self) -> bool:
        """Deliver what is left, and stop."""


_engines: weakref.WeakSet[Forkable] = weakref.WeakSet()


def register(engine: Forkable) -> None:
    """Tell an engine of forks, and close it when the process ends."""
    _engines.add(engine)


def unregister(engine: Forkable) -> None:
    """Forget an engine that was closed."""
    _engines.discard(engine)


def close_at_end(engine: Forkable) -> None:
    """Close an engine when a process of `multiprocessing` ends: these run no `atexit`."""
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        from multiprocessing import util

        util.Finalize(None, engine.close, exitpriority=0)


def _in_order() -> list[Forkable]:
    return sorted(_engines, key=id)


def _before() -> None:
    for engine in _in_order():
        engine.before_fork()


def _after_in_parent() -> None:
    for engine in _in_order():
        engine.after_fork_in_parent()


def _after_in_child() -> None:
    for engine in _in_order():
        engine.after_fork_in_child()


def _close_all() -> None:
    for engine in _in_order():
        engine.close()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
