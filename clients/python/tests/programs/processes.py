"""Programs that send events and end in some way; each prints the ids of the events that were taken.

`python processes.py PROGRAM URL KEY`
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from typing import Any

if "greenlets" in sys.argv:  # first of all, as gevent wants it
    from gevent import monkey

    monkey.patch_all()

from eye_client import Eye

OPTIONS: dict[str, Any] = {"linger": 0.01, "min_backoff": 0.05}


def send(eye: Eye, number: int) -> None:
    """Send events and print their ids."""
    ids = []
    for _ in range(number):
        event_id = eye.send("page interaction", "pageview", "processes", {"host": "www.example.com", "path": "/"})
        ids.append(event_id or "dropped")
    os.write(1, "".join(f"{event_id}\n" for event_id in ids).encode())


def end(eye: Eye) -> None:
    """End at once, without closing the client."""
    send(eye, 50)


def fail(eye: Eye) -> None:
    """End by an exception."""
    send(eye, 50)
    raise SystemExit(3)


def threads(eye: Eye) -> None:
    """Send from many threads at once."""
    senders = [threading.Thread(target=send, args=(eye, 200)) for _ in range(8)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()


def fork(eye: Eye) -> None:
    """Send in a parent and its children, before and after the fork."""
    send(eye, 20)
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            send(eye, 20)
            eye.close()
            os._exit(0)
        children.append(child)
        send(eye, 20)
    for child in children:
        os.waitpid(child, 0)


def daemon(eye: Eye) -> None:
    """Become a daemon: the parent ends without another word."""
    send(eye, 20)
    if os.fork():
        os._exit(0)
    send(eye, 20)


def pool(eye: Eye) -> None:
    """Send in workers of multiprocessing, which run no atexit."""
    workers = [multiprocessing.get_context("fork").Process(target=send, args=(eye, 20)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def forks_of_threads(eye: Eye) -> None:
    """Fork while other threads send."""
    sender = threading.Thread(target=threads, args=(eye,))
    sender.start()
    for _ in range(20):
        child = os.fork()
        if child == 0:
            send(eye, 2)
            eye.close()
            os._exit(0)
        os.waitpid(child, 0)
    sender.join()


def signals(eye: Eye) -> None:
    """Send from the handler of a signal, which interrupts senders anywhere."""
    signal.signal(signal.SIGALRM, lambda *_: send(eye, 1))
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    for _ in range(40):
        send(eye, 50)
    signal.setitimer(signal.ITIMER_REAL, 0)


def greenlets(eye: Eye) -> None:
    """Send from greenlets of a process that gevent has patched, while another one counts the time."""
    import gevent

    ticks = 0

    def tick() -> None:
        nonlocal ticks
        while True:
            gevent.sleep(0)
            ticks += 1

    ticking = gevent.spawn(tick)
    gevent.joinall([gevent.spawn(send, eye, 50) for _ in range(20)])
    assert eye.flush(30)
    assert ticks > 3, "delivery kept the other greenlets waiting"
    ticking.kill()


if __name__ == "__main__":
    program, url, key = sys.argv[1:4]
    eye = Eye(url, key, **OPTIONS)
    globals()[program](eye)
