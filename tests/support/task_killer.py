"""A worker one of whose Kafka clients loses a background task on SIGUSR1, as a fault in the client would end it.

Run as a script in place of `-m eye`: `python tests/support/task_killer.py FILE STAGE`. FILE names the client (consumer,
producer or reader) and its task, in JSON; after the signal it is removed when the task was cancelled.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from kafka_client.background_tasks import background_tasks

clients: weakref.WeakSet[Any] = weakref.WeakSet()


def kind(client: Any) -> str:
    """Tell what a client does: a consumer is a member of a group, a reader is none."""
    if isinstance(client, AIOKafkaProducer):
        return "producer"
    return "consumer" if client._group_id else "reader"


def watch(owner: Any) -> None:
    """Have each started client of a class known here."""
    start = owner.start

    async def started(self: Any) -> None:
        await start(self)
        clients.add(self)

    owner.start = started


def living(wanted: str, name: str) -> Iterator[Any]:
    """Yield the tasks of that name of running clients."""
    for client in clients:
        if kind(client) == wanted and not getattr(client, "_closed", False):
            task = background_tasks(client).get(name)
            if task is not None and not task.done():
                yield task


def kill(file: Path) -> None:
    """Cancel the tasks that the file names, and remove it when there were any."""
    wanted = json.loads(file.read_text())
    tasks = list(living(wanted["client"], wanted["task"]))
    for task in tasks:
        task.get_loop().call_soon_threadsafe(task.cancel)
    if tasks:
        file.unlink()


def main(file: str, stage: Sequence[str]) -> None:
    """Listen for the signal, then be `eye STAGE`, also when the worker begins anew."""
    begin = os.execv

    def begin_anew(program: str, _: object) -> NoReturn:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # it stays so until the next `main` listens
        begin(program, [program, __file__, file, *stage])

    os.execv = begin_anew  # type: ignore[assignment]
    watch(AIOKafkaConsumer)
    watch(AIOKafkaProducer)
    signal.signal(signal.SIGUSR1, lambda *_: kill(Path(file)))
    sys.argv = ["eye", *stage]
    from eye.cli.app import main as eye

    eye()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
