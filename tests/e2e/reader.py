"""Reading what data teams read, with a client that is not ours."""

from __future__ import annotations

from typing import Any

from confluent_kafka import Consumer, TopicPartition

from schemas.settings import Settings


def read_committed(settings: Settings, topic: str) -> list[Any]:
    """Read a topic to its end with a client that is not ours."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka_bootstrap_servers,
            "group.id": "independent",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(settings.partitions)])
    messages: list[Any] = []
    ended: set[int | None] = set()
    while len(ended) < settings.partitions:
        message = consumer.poll(30)
        assert message is not None
        if message.error():
            ended.add(message.partition())
        else:
            messages.append(message)
    consumer.close()
    return messages
