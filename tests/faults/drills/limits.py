"""Drill in which topics take no records of the size that comes."""

from __future__ import annotations

import urllib.error
import urllib.request
from functools import partial

from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from eye.local.process import wait_until
from schemas.settings import Settings
from schemas.topics import topic_names
from tests.faults.drills.registry import drill
from tests.faults.harness.field import Field

_USUAL_BYTES = 1_048_588
_BATCHES_TOO_LARGE = 2_000
"""Each event of a drill fits, a request's twenty together do not."""
_RECORDS_TOO_LARGE = 200


@drill("limits-lowered", workers=1)
def limits_lowered(field: Field) -> None:
    """Lower the largest record of each topic and raise it again: batches are split, or events wait."""
    settings = field.pipeline.settings
    topics = topic_names(settings)
    for _ in field.times(3, 1):
        for topic in (topics.raw, topics.validated, topics.rejected, topics.sessions):
            limit_records(settings, topic, _BATCHES_TOO_LARGE)
        field.stay(20, 4)
        for topic in (topics.validated, topics.rejected, topics.sessions):
            limit_records(settings, topic, _RECORDS_TOO_LARGE)
            told = wait_until(partial(says_so, field, topic), 60)
            field.demand(told, f"/readyz of the stream did not say that {topic} takes no record")
            field.stay(15, 1)
            limit_records(settings, topic, _USUAL_BYTES)
            field.moment()
        limit_records(settings, topics.raw, _USUAL_BYTES)
    field.demand(field.traffic.refused == 0, f"{field.traffic.refused} requests were answered with 503")


def limit_records(settings: Settings, topic: str, size: int) -> None:
    """Set the largest batch that the broker takes for a topic, in bytes."""
    entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap_servers, "log_level": 4})
    for done in admin.incremental_alter_configs([resource]).values():
        done.result(30)


def says_so(field: Field, topic: str) -> bool:
    """Tell whether the stream worker's /readyz names the topic that takes no record."""
    try:
        urllib.request.urlopen(f"{field.pipeline.streams[0].url}/readyz", timeout=2).close()
    except urllib.error.HTTPError as error:
        return f"{topic} takes no record" in error.read().decode()
    except OSError:
        pass
    return False
