"""A Faust agent as Faust's documentation writes it, doing the same work: run by `bench.stages.stream`."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import faust
import uvloop

from bench.progress import timed
from schemas.judge import judge
from schemas.settings import Settings
from schemas.topics import topic_names
from schemas.verdict import Accepted, encode


class _Record:
    """The part of a Faust event that the rules read."""

    def __init__(self, event: Any) -> None:
        message = event.message
        self.topic, self.partition, self.offset = message.topic, message.partition, message.offset
        self.key, self.value = message.key, event.value
        self.timestamp = int(message.timestamp * 1000)
        self.headers = list(event.headers.items())


async def main(number: int) -> None:
    """Work until every event is sent."""
    settings = Settings()
    topics = topic_names(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    app = faust.App(
        f"{settings.group}plain",
        broker=f"kafka://{settings.kafka_bootstrap_servers}",
        store="memory://",
        datadir=str(settings.data_dir / "plain"),
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        stream_wait_empty=False,
    )
    raw = app.topic(topics.raw, value_serializer="raw", key_serializer="raw")
    validated = app.topic(topics.validated, value_serializer="raw", key_serializer="raw")
    rejected = app.topic(topics.rejected, value_serializer="raw", key_serializer="raw")
    rules = settings.rules()
    sent = 0

    @app.agent(raw)
    async def validate(stream: Any) -> None:
        nonlocal sent
        async for event in stream.events():
            verdict = judge(_Record(event), rules)
            topic = validated if isinstance(verdict, Accepted) else rejected
            await topic.send(key=event.message.key, value=encode(verdict))
            sent += 1

    await app.start()
    print(json.dumps(await timed(lambda: sent, number)), flush=True)
    os._exit(0)  # what is to be measured is measured; stopping takes longer than the run


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
