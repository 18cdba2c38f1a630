"""Tasks in a pool of forked processes, each of which sends events: `EYE_URL=... EYE_KEY=... python task_worker.py`.

The client is made once, before the pool; each process has its own thread and queue in memory, and all of them
share the queue on disk, so that a process that is killed loses nothing. Celery's processes are forked alike; they end
without `atexit`, so let them say when:

    from celery.signals import worker_process_shutdown

    @worker_process_shutdown.connect
    def deliver(**_: object) -> None:
        eye.close()
"""

from __future__ import annotations

import multiprocessing
import os

from eye_client import Eye

eye = Eye(os.environ["EYE_URL"], os.environ["EYE_KEY"], disk=os.environ.get("EYE_QUEUE") or None)


def confirm(order: int) -> str | None:
    """Do what the task is for, and tell of it; returns the event's id."""
    return eye.send("page interaction", "pageview", f"order-{order}", {"host": "worker", "path": f"/orders/{order}"})


if __name__ == "__main__":
    pool = multiprocessing.get_context("fork").Pool(3)
    with pool:
        for event_id in pool.imap_unordered(confirm, range(100)):
            print(event_id)
        pool.close()
        pool.join()
