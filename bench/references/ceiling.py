"""aiokafka's consumer and the pydantic validator, nothing else: what a stream in Python can't exceed.

The event and its payload are pydantic models; nothing is grouped, forwarded or committed. Also timed: the
validator alone, over values that are in memory.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition
from pydantic import BaseModel, ValidationError

from bench.progress import timed
from schemas.rules import Rules
from schemas.settings import Settings
from schemas.topics import topic_names


class Event(BaseModel):
    """An event as sent."""

    session_id: str
    category: str
    name: str
    timestamp: datetime
    data: dict[str, Any]
    event_id: str | None = None
    schema_version: int | None = None


def validate(values: Sequence[bytes], rules: Rules) -> int:
    """Validate events and their payloads; returns how many keep the rules."""
    valid = 0
    for value in values:
        try:
            event = Event.model_validate_json(value)
            event_type = rules.type_of(event.category, event.name)
            if event_type is not None:
                event_type.model.model_validate(event.data)
                valid += 1
        except ValidationError:
            pass
    return valid


async def main(number: int) -> None:
    """Read and validate every record, then validate a part of them once more, timed alone."""
    settings = Settings()
    rules = settings.rules()
    consumer = AIOKafkaConsumer(
        **settings.kafka_client(),
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=settings.fetch_bytes,
    )
    await consumer.start()
    consumer.assign([TopicPartition(topic_names(settings).raw, partition) for partition in range(settings.partitions)])
    await consumer.seek_to_beginning()
    done = 0
    values: list[bytes] = []

    async def read() -> None:
        nonlocal done, values
        while done < number:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                values = [record.value for record in records]
                validate(values, rules)
                done += len(records)
                await asyncio.sleep(0)  # whoever times this looks now and then

    reading = asyncio.create_task(read())
    figure = await timed(lambda: done, number)
    await reading
    await consumer.stop()
    begin = time.process_time()
    validate(values, rules)
    figure["validator_us"] = (time.process_time() - begin) / len(values) * 1e6
    print(json.dumps(figure), flush=True)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
