"""The private names by which the background tasks of aiokafka's clients are watched."""

from __future__ import annotations

import inspect

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer import group_coordinator
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.producer.sender import Sender

from kafka_client.background_tasks import TaskEnded, check_tasks, ended_task

NAMES = [
    (AIOKafkaClient, "_sync_task = create_task"),
    (Fetcher, "_fetch_task = create_task"),
    (Sender, "_sender_task = create_task"),
    (Sender, "def sender_task"),
    (group_coordinator.GroupCoordinator, "_coordination_task = create_task"),
    (group_coordinator.GroupCoordinator, "_heartbeat_task = create_task"),
    (group_coordinator.NoGroupCoordinator, "_reset_committed_task = create_task"),
]


@pytest.mark.parametrize(("owner", "text"), NAMES, ids=[text.split()[0] for _, text in NAMES])
def test_aiokafka_has_the_tasks_that_are_watched(owner: type, text: str) -> None:
    assert text in inspect.getsource(owner)


def test_a_client_has_no_other_background_tasks() -> None:
    """Those made for one request or one wait are none."""
    made = [
        line.strip()
        for module in (AIOKafkaClient, AIOKafkaConsumer, AIOKafkaProducer, Fetcher, Sender, group_coordinator)
        for line in inspect.getsource(module).splitlines()
        if "= create_task(" in line and "self." in line.split("=")[0]
    ]

    assert {line.split()[0].removeprefix("self.") for line in made} == {
        "_sync_task",
        "_fetch_task",
        "_sender_task",
        "_coordination_task",
        "_heartbeat_task",
        "_commit_refresh_task",  # the coordinator looks after it
        "_reset_committed_task",
    }


async def test_a_producer_without_its_tasks_is_known() -> None:
    producer = AIOKafkaProducer(bootstrap_servers="127.0.0.1:1")

    assert ended_task(producer) == "sender"
    with pytest.raises(TaskEnded, match="the client's sender has ended"):
        check_tasks(producer)
    await producer.stop()
