"""The background tasks of aiokafka's clients: none of them should end while its client is in use.

aiokafka tells nobody when one ends; whoever waits for its work waits for ever. The private names are those of aiokafka
0.14; tests/unit/kafka_client/test_background_tasks.py names each of them.
"""

from __future__ import annotations

import asyncio
from asyncio import Task
from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.group import JoinGroupRequest


class TaskEnded(KafkaConnectionError):  # type: ignore[misc]
    """A background task of a client has ended: the client will not go on by itself."""


def ended_task(client: AIOKafkaConsumer | AIOKafkaProducer) -> str | None:
    """Return the name of a background task of a started client that has ended; None while all of them run."""
    return next((name for name, task in background_tasks(client).items() if task is None or task.done()), None)


def background_tasks(client: AIOKafkaConsumer | AIOKafkaProducer) -> Mapping[str, Task[Any] | None]:
    """Return the background tasks of a started client by name; None where there should be one and is none."""
    return _of_producer(client) if isinstance(client, AIOKafkaProducer) else _of_consumer(client)


def check_tasks(client: AIOKafkaConsumer | AIOKafkaProducer) -> None:
    """Raise TaskEnded where a background task of a started client has ended."""
    if (name := ended_task(client)) is not None:
        raise TaskEnded(f"the client's {name} has ended")


async def end_sender(producer: Any, seconds: float) -> None:
    """End the sender of a producer whose broker is away, within so many seconds: `stop` would wait for the broker.

    Batches that it did not send stay without a result. A producer that was never started has no sender.
    """
    task = None if producer._sender is None else producer._sender.sender_task
    deadline = asyncio.get_running_loop().time() + seconds
    while task is not None and not task.done() and asyncio.get_running_loop().time() < deadline:
        task.cancel()  # the first time it goes on to wait for the requests under way
        await asyncio.wait([task], timeout=0.1)


def _of_producer(producer: Any) -> Mapping[str, Task[Any] | None]:
    return {"sender": producer._sender.sender_task, "metadata synchronizer": producer.client._sync_task}


def _of_consumer(consumer: Any) -> Mapping[str, Task[Any] | None]:
    """Return the tasks of a consumer; those of a member of a group only where it is one."""
    tasks: dict[str, Task[Any] | None] = {
        "fetcher": consumer._fetcher._fetch_task,
        "metadata synchronizer": consumer._client._sync_task,
    }
    coordinator = consumer._coordinator
    if hasattr(coordinator, "_coordination_task"):
        tasks["coordinator"] = coordinator._coordination_task
        # there is none while the member joins; one that the group does not know any more ends its heartbeat by itself
        if coordinator._heartbeat_task is not None and coordinator.member_id != JoinGroupRequest.UNKNOWN_MEMBER_ID:
            tasks["heartbeat"] = coordinator._heartbeat_task
    else:
        tasks["coordinator"] = coordinator._reset_committed_task
    return tasks
