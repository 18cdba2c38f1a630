"""The largest batch that a topic takes, asked of its broker, and batches made no larger.

The internals are those of aiokafka 0.14; tests/unit/gateway/publish/test_producer.py names each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka.client import ConnectionGroup
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError, for_code
from aiokafka.protocol.admin import DescribeConfigsRequest

_TOPIC_RESOURCE = 2
_LIMIT = "max.message.bytes"


class TopicLimit(NamedTuple):
    """A topic's max.message.bytes; None where the broker does not tell it, and `fault` says why in a sentence."""

    bytes: int | None
    fault: str | None = None


async def ask_topic_limits(
    client: Any, topics: Sequence[str], group: int = ConnectionGroup.DEFAULT
) -> dict[str, TopicLimit]:
    """Return the limits of topics, asked on a connection of this group. Raises KafkaError, OSError or TimeoutError."""
    request = DescribeConfigsRequest([(_TOPIC_RESOURCE, topic, [_LIMIT]) for topic in topics], False)
    response = await client.send(client.get_random_node(), request, group=group)
    return {resource[3]: _limit_of(resource) for resource in response.resources}


def lacks_right(topic: str) -> str:
    """Return the sentence for a user who must not read a topic's settings."""
    return f"the settings of {topic} are not known: Kafka's user lacks the right DescribeConfigs on it"


def limit_batches(producer: Any, max_bytes: int) -> None:
    """Make the producer's new batches no larger than this; a batch of one record may still be."""
    producer._message_accumulator._batch_size = max_bytes


def _limit_of(resource: Any) -> TopicLimit:
    code, _, _, topic, entries = resource
    error: type[KafkaError] = for_code(code)
    if error is TopicAuthorizationFailedError:
        return TopicLimit(None, lacks_right(topic))
    if code:
        return TopicLimit(None, f"the settings of {topic} are not known: {error.__name__}")
    found = next((value for name, value, *_ in entries if name == _LIMIT), None)
    return TopicLimit(int(found)) if found is not None else TopicLimit(None, f"the broker tells no {_LIMIT} of {topic}")
