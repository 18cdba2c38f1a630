"""Settings of existing topics: compared with what `EYE_...` asks for, and set to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from eye.operations.topics import connected_admin, read_config
from schemas.settings import Settings
from schemas.topics import TopicSpec, topic_specs

_SET_ON_THE_TOPIC = 1  # config_source in DescribeConfigs 1 and newer: not a broker's or Kafka's default


@dataclass(frozen=True, slots=True)
class TopicChange:
    """A setting of a topic that is not as it should be: its value now (None: not known) and the one to come."""

    topic: str
    setting: str
    now: str | None
    then: str

    @property
    def deletes(self) -> bool:
        """Tell whether Kafka deletes records after this change that it keeps today."""
        return self.setting == "retention.ms" and not 0 <= int(self.now or -1) <= int(self.then)


async def find_changes(settings: Settings) -> list[TopicChange]:
    """Return what `apply_changes` would change, without changing it. Topics that are missing are left out."""
    async with connected_admin(settings) as admin:
        existing = set(await admin.list_topics())
        specs = [spec for spec in topic_specs(settings) if spec.name in existing]
        return [change for spec in specs for change in await _changes_of(admin, spec)]


async def apply_changes(settings: Settings, changes: Sequence[TopicChange]) -> None:
    """Set the topics as the changes say; every other setting stays as it is. Raises KafkaError."""
    async with connected_admin(settings) as admin:
        for topic in dict.fromkeys(change.topic for change in changes):
            # Kafka replaces all settings of a topic at once, so those that stay are sent again
            wanted = await _own_settings(admin, topic)
            wanted |= {change.setting: change.then for change in changes if change.topic == topic}
            resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs=wanted)
            for response in await admin.alter_configs([resource]):
                for code, message, *_ in response.resources:
                    if code:
                        raise for_code(code)(f"{topic}: {message or 'its settings were not changed'}")


async def _changes_of(admin: AIOKafkaAdminClient, spec: TopicSpec) -> list[TopicChange]:
    actual = await read_config(admin, ConfigResource(ConfigResourceType.TOPIC, spec.name))
    return [
        TopicChange(spec.name, name, actual.get(name), value)
        for name, value in spec.config.items()
        if actual.get(name) != value
    ]


async def _own_settings(admin: AIOKafkaAdminClient, topic: str) -> dict[str, str]:
    """Return the settings that were given to the topic itself."""
    responses = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    return {
        name: value
        for response in responses
        for _, _, _, _, entries in response.resources
        for name, value, _, source, *_ in entries
        if source == _SET_ON_THE_TOPIC
    }
