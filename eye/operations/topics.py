"""The topics in Kafka: make missing ones, and compare the others with the expected ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    KafkaConnectionError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)

from eye.operations.rights import maybe_unseen
from eye.operations.topic_limits import limit_differences
from kafka_client.cluster_guard import ClusterGuard, ForeignCluster, guarded
from kafka_client.topic_limits import lacks_right
from schemas.settings import Settings
from schemas.topics import TopicSpec, topic_specs


class TopicMissing(Exception):
    """A topic that should be there is not; the message says what to do."""


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic: its `differences` from the expected one; `created` when this call made it."""

    name: str
    partitions: int | None
    created: bool
    differences: tuple[str, ...]


async def create_topics(settings: Settings, guard: ClusterGuard | None = None) -> list[TopicState]:
    """Make the topics that are missing; those that exist are left as they are. Raises KafkaError."""
    async with connected_admin(settings, guard) as admin:
        existing = set(await admin.list_topics())
        replicas = settings.replication_factor or min(3, len((await admin.describe_cluster())["brokers"]))
        missing = [spec for spec in topic_specs(settings) if spec.name not in existing]
        in_sync = settings.min_insync_replicas or (2 if replicas >= 3 else 1)
        created = {spec.name for spec in missing if await _create(admin, spec, replicas, in_sync)}
        await _wait_until_known(admin, {spec.name for spec in missing})
        return [await _state(admin, spec, settings, spec.name in created) for spec in topic_specs(settings)]


async def check_topics(settings: Settings) -> list[TopicState]:
    """Compare the topics with the expected ones, changing nothing. Raises KafkaError."""
    async with connected_admin(settings) as admin:
        existing = set(await admin.list_topics())
        return [
            await _state(admin, spec, settings, False)
            if spec.name in existing  # to ask for one that is missing may make it
            else TopicState(spec.name, None, False, (f"missing: `eye topics create` makes it{maybe_unseen(settings)}",))
            for spec in topic_specs(settings)
        ]


async def topic_partitions(settings: Settings) -> dict[str, list[TopicPartition]]:
    """Return the partitions of the four topics as they are. Raises KafkaError, TopicMissing."""
    names = [spec.name for spec in topic_specs(settings)]
    async with connected_admin(settings) as admin:
        if missing := sorted(set(names) - set(await admin.list_topics())):
            raise TopicMissing(
                f"topic {missing[0]} doesn't exist: make it with `eye topics create`{maybe_unseen(settings)}"
            )
        described = await admin.describe_topics(names)
    return {
        found["topic"]: [TopicPartition(found["topic"], number) for number in range(len(found["partitions"]))]
        for found in described
    }


async def partition_counts(settings: Settings, topics: Iterable[str]) -> dict[str, int]:
    """Return how many partitions those of the topics have that are there. Raises KafkaError."""
    async with connected_admin(settings) as admin:
        there = sorted(set(topics) & set(await admin.list_topics()))  # to ask for one that is missing may make it
        return {found["topic"]: len(found["partitions"]) for found in await admin.describe_topics(there)}


async def missing_topics(settings: Settings, names: Collection[str], guard: ClusterGuard | None = None) -> list[str]:
    """Return which of these topics are not there, or may not be seen. Raises KafkaError."""
    async with connected_admin(settings, guard) as admin:
        existing = set(await admin.list_topics())
    return [name for name in names if name not in existing]


@asynccontextmanager
async def connected_admin(settings: Settings, guard: ClusterGuard | None = None) -> AsyncIterator[AIOKafkaAdminClient]:
    """Lend an admin client of Kafka. Raises KafkaError when Kafka is away, or is another cluster than the guard's."""
    admin = AIOKafkaAdminClient(**guarded(settings.kafka_client(), guard), request_timeout_ms=15_000)
    try:
        try:
            await admin.start()
        except KafkaConnectionError:
            if guard is not None and guard.fault is not None:
                raise ForeignCluster(guard.fault) from None
            raise KafkaConnectionError(f"Kafka at {settings.kafka_bootstrap_servers} doesn't answer") from None
        yield admin
    finally:
        await admin.close()


async def _wait_until_known(admin: AIOKafkaAdminClient, names: set[str]) -> None:
    """Wait until all brokers know topics that were just made. Raises TimeoutError after 10 s."""
    async with asyncio.timeout(10):
        while names:
            names = {found["topic"] for found in await admin.describe_topics(sorted(names)) if found["error_code"]}
            await asyncio.sleep(0.05)


async def _create(admin: AIOKafkaAdminClient, spec: TopicSpec, replicas: int, in_sync: int) -> bool:
    """Make one topic; False when somebody else was quicker."""
    config = {"min.insync.replicas": str(in_sync), **spec.config}
    topic = NewTopic(spec.name, spec.partitions, replicas, topic_configs=config)
    response = await admin.create_topics([topic])
    for _, code, *rest in response.topic_errors:
        error = for_code(code)
        if error is TopicAlreadyExistsError:
            return False
        if code:
            raise error(f"{spec.name}: {rest}")
    return True


async def _state(admin: AIOKafkaAdminClient, spec: TopicSpec, settings: Settings, created: bool) -> TopicState:
    (described,) = await admin.describe_topics([spec.name])
    partitions = len(described["partitions"])
    differences = [] if partitions == spec.partitions else [f"{partitions} partitions, expected {spec.partitions}"]
    differences += await _config_differences(admin, spec, settings)
    return TopicState(spec.name, partitions, created, tuple(differences))


async def _config_differences(admin: AIOKafkaAdminClient, spec: TopicSpec, settings: Settings) -> list[str]:
    try:
        actual = await read_config(admin, ConfigResource(ConfigResourceType.TOPIC, spec.name))
    except TopicAuthorizationFailedError:
        return [lacks_right(spec.name)]
    except UnknownTopicOrPartitionError:  # just made, and the broker that answered has not heard of it
        return ["its settings are not known yet: ask again"]
    differing = {key: value for key, value in spec.config.items() if actual.get(key) != value}
    differences = [f"{key} is {actual.get(key)}, expected {value}" for key, value in differing.items()]
    return [*differences, *limit_differences(settings, spec.name, int(actual["max.message.bytes"]))]


async def read_config(admin: AIOKafkaAdminClient, resource: ConfigResource) -> dict[str, str]:
    """Return the configuration of a topic or a broker.

    Raises KafkaError, TopicAuthorizationFailedError or ClusterAuthorizationFailedError without the right to read it.
    """
    responses = await admin.describe_configs([resource])
    found = [one for response in responses for one in response.resources]
    for code, message, *_ in found:
        if code:
            raise for_code(code)(message)
    return {entry[0]: entry[1] for *_, entries in found for entry in entries}
