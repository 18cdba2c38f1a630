"""Checks of Kafka: topics, brokers' settings, committed positions, clock and disk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import ClusterAuthorizationFailedError, KafkaError

from eye.operations.clusters import cluster_state
from eye.operations.doctor.disk import check_server_disk
from eye.operations.doctor.finding import Finding
from eye.operations.rights import explain
from eye.operations.topics import TopicMissing, check_topics, connected_admin, read_config, topic_partitions
from eye.operations.wait_until_stored import judged_positions, stored_positions
from schemas.settings import Settings, SettingsError
from schemas.topics import topic_names
from stream.runner.kafka_reader import Lookup

_AHEAD = timedelta(seconds=60)

_ANSWER = "Set EYE_KAFKA_BOOTSTRAP_SERVERS (and the security settings) to a Kafka that answers."
_TOPICS = "`eye topics create` makes what is missing; `eye topics apply` changes settings that differ."
_NO_RIGHT = "not known: Kafka's user lacks the right DescribeConfigs on the cluster"
_GRANT = "Grant it, as deploy/kafka/acls.sh does to eye-operator."
_CLUSTER = (
    "Point EYE_KAFKA_BOOTSTRAP_SERVERS (DNS, port) at the cluster that was there before: all goes on by itself then."
    " Is this one its successor, say `eye topics accept-cluster`."
)
_POSITIONS = "A topic was made anew, or expired before it was read: see the workers' logs, then `eye ledger`."
_CLOCK = "Set the clocks by NTP, of the gateways first: their time of reception goes with the events."


async def check_kafka(settings: Settings) -> list[Finding]:
    """Look at Kafka; when it is away, that is the one finding."""
    try:
        async with connected_admin(settings) as admin:
            brokers = await _brokers(admin, settings)
        states = await check_topics(settings)
        topics = [
            Finding(
                f"topic {state.name}",
                not state.differences,
                "; ".join(state.differences) or f"{state.partitions} partitions",
                _TOPICS,
            )
            for state in states
        ]
        answers = Finding("Kafka", True, f"answers at {settings.kafka_bootstrap_servers}")
        return [answers, await _cluster(settings), *topics, *brokers, *await _records(settings)]
    except (KafkaError, SettingsError) as error:
        return [Finding("Kafka", False, explain(error), _ANSWER)]


async def _cluster(settings: Settings) -> Finding:
    """Hold the cluster that answers against the one that is remembered."""
    state = await cluster_state(settings)
    seen = f"{state.found}, {'as remembered' if state.remembered else 'not written down yet'}"
    if state.differences:
        seen = f"it is {state.found}, but {'; '.join(state.differences)}"
    return Finding("Kafka's cluster", not state.differences, seen, _CLUSTER)


async def _brokers(admin: AIOKafkaAdminClient, settings: Settings) -> list[Finding]:
    """Hold the brokers' settings against what the topics' retention asks for, and look at their disk if it is here."""
    findings = []
    needed = settings.raw_retention_hours * 60
    for broker in (await admin.describe_cluster())["brokers"]:
        name = str(broker["node_id"])
        try:
            config = await read_config(admin, ConfigResource(ConfigResourceType.BROKER, name))
        except ClusterAuthorizationFailedError:
            findings.append(Finding(f"settings of broker {name}", False, _NO_RIGHT, _GRANT))
            continue
        minutes = int(config.get("offsets.retention.minutes") or 0)
        mend = (
            f"Set offsets.retention.minutes to {needed} or more on the brokers: a stream that was stopped for longer"
            " has forgotten how far it was, while records are still there."
        )
        findings.append(Finding(f"offsets' retention of broker {name}", minutes >= needed, f"{minutes} minutes", mend))
        for directory in (config.get("log.dirs") or config.get("log.dir") or "").split(","):
            findings += check_server_disk(f"disk of broker {name}", broker["host"], directory)
    return findings


async def _records(settings: Settings) -> list[Finding]:
    """Hold positions and clocks against what the topics hold; nothing where topics or Postgres are missing."""
    try:
        partitions = await topic_partitions(settings)
        positions = {**await judged_positions(settings), **await stored_positions(settings)}
    except (TopicMissing, psycopg.Error, SettingsError):
        return []
    raw = topic_names(settings).raw
    lost, ahead = [], []
    async with Lookup(settings, committed_only=False) as lookup:
        for tp in (tp for tps in partitions.values() for tp in tps):
            earliest, end = await lookup.bounds(tp)
            position = positions.get(tp)
            if position is not None and not earliest <= position <= end:
                lost.append(f"{_name(tp)} is at {position}, but goes from {earliest} to {end}")
            if tp.topic == raw and await lookup.offset_at(tp, datetime.now(UTC) + _AHEAD) is not None:
                ahead.append(_name(tp))
    found = f"records of the future in {', '.join(ahead)}" if ahead else "no record is of the future"
    return [
        Finding("positions", not lost, "; ".join(lost) or f"{len(positions)}, all within their partitions", _POSITIONS),
        Finding("clock of the gateways", not ahead, found, _CLOCK),
    ]


def _name(tp: TopicPartition) -> str:
    return f"{tp.topic}:{tp.partition}"
