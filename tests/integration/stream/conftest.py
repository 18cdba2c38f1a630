"""A raw partition with its work."""

from __future__ import annotations

import pytest
from aiokafka import TopicPartition

from schemas.settings import Settings
from schemas.topics import Topics, topic_names
from tests.integration.stream.test_checkpoint_live import PARTITION


@pytest.fixture
def topics(settings: Settings) -> Topics:
    return topic_names(settings)


@pytest.fixture
def raw(topics: Topics) -> TopicPartition:
    return TopicPartition(topics.raw, PARTITION)
