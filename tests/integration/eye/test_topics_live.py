"""`eye topics`: made where they are missing, held against what is expected where they are there."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from eye.local.stack import environment
from eye.operations.topic_settings import TopicChange, apply_changes, find_changes
from eye.operations.topics import check_topics, connected_admin, create_topics, missing_topics, read_config
from schemas.settings import Settings
from schemas.topics import topic_names, topic_specs
from tests.integration.eye.test_command import run_eye
from tests.integration.gateway.outages.test_refused_records import limit_topic
from tests.integration.gateway.test_json_builders import eventually
from tests.support.servers import Infra


@pytest.fixture
def fresh(settings: Settings) -> Settings:
    """Return a deployment whose topics are not there yet."""
    return settings.model_copy(update={"topic_prefix": f"fresh.{settings.topic_prefix}"})


def other(settings: Settings, **changes: object) -> Settings:
    return settings.model_copy(update=changes)


async def test_all_four_are_made_as_they_have_to_be(fresh: Settings) -> None:
    made = await create_topics(fresh)

    assert [(state.name, state.partitions, state.created) for state in made] == [
        (spec.name, fresh.partitions, True) for spec in topic_specs(fresh)
    ]
    assert [state.differences for state in await check_topics(fresh)] == [()] * 4


async def test_what_is_missing_is_told(fresh: Settings) -> None:
    names = [spec.name for spec in topic_specs(fresh)]

    before = await missing_topics(fresh, names)
    await create_topics(fresh)

    assert (before, await missing_topics(fresh, names)) == (names, [])


async def test_making_them_twice_changes_nothing(fresh: Settings) -> None:
    await create_topics(fresh)

    again = await create_topics(fresh)

    assert [(state.created, state.differences) for state in again] == [(False, ())] * 4


async def test_only_what_is_missing_is_made(fresh: Settings) -> None:
    await create_topics(fresh)
    names = topic_names(fresh)
    admin = AIOKafkaAdminClient(**fresh.kafka_client())
    await admin.start()
    await admin.delete_topics([names.sessions])
    await admin.close()

    again = await create_topics(fresh)

    assert {state.name: state.created for state in again} == {
        names.raw: False, names.validated: False, names.rejected: False, names.sessions: True,
    }  # fmt: skip


async def test_several_at_once_make_each_topic_once(fresh: Settings) -> None:
    """Every process of a deployment may start at the same moment."""
    outcomes = await asyncio.gather(*(create_topics(fresh) for _ in range(3)))

    made = [state.name for states in outcomes for state in states if state.created]
    assert sorted(made) == sorted(spec.name for spec in topic_specs(fresh))


async def test_a_check_names_what_is_missing_and_makes_nothing(fresh: Settings) -> None:
    states = await check_topics(fresh)

    assert [state.differences for state in states] == [("missing: `eye topics create` makes it",)] * 4
    assert [state.partitions for state in await check_topics(fresh)] == [None] * 4


async def test_a_check_makes_nothing_though_the_broker_would(infra: Infra, tmp_path: Path) -> None:
    """Brokers make topics that are asked for, unless they are told otherwise: with their own defaults."""
    broker = infra.make_kafka(tmp_path, {"auto.create.topics.enable": "true"})
    broker.start()
    try:
        settings = Settings(kafka_bootstrap_servers=broker.bootstrap_servers)
        states = await check_topics(settings)
        found = await topics_after_all_that_was_asked_for(settings)
    finally:
        broker.stop()

    assert [state.partitions for state in states] == [None] * 4
    assert found == {"asked.for.last"}


async def topics_after_all_that_was_asked_for(settings: Settings) -> set[str]:
    """Ask for one more topic, so that what was asked for before is there too, and return them all."""
    admin = AIOKafkaAdminClient(**settings.kafka_client())
    await admin.start()
    try:
        await admin.create_topics([NewTopic("asked.for.last", 1, 1)])

        async def is_known() -> bool:
            return "asked.for.last" in await admin.list_topics()

        await eventually(is_known)
        return set(await admin.list_topics())
    finally:
        await admin.close()


async def test_a_check_names_every_difference(settings: Settings) -> None:
    states = await check_topics(other(settings, partitions=12, raw_retention_hours=1))

    raw, validated, _, sessions = states
    assert raw.differences == ("3 partitions, expected 12", "retention.ms is 604800000, expected 3600000")
    assert validated.differences == sessions.differences == ("3 partitions, expected 12",)


async def test_limits_of_size_that_do_not_go_together_are_named(settings: Settings) -> None:
    await limit_topic(settings, 10_000)

    raw, validated, *_ = await check_topics(other(settings, fetch_bytes=100_000))

    assert "max.message.bytes of" in raw.differences[0]
    assert "is 10,000, and a record may have 69,632 bytes: raise it, or lower EYE_MAX_EVENT_BYTES" in raw.differences[0]
    assert validated.differences == (
        "EYE_FETCH_BYTES is 100,000, and a batch may have 1,000,000 bytes: raise it, since each is fetched alone",
    )


async def test_more_replicas_than_brokers_are_refused_with_the_topic(fresh: Settings) -> None:
    with pytest.raises(KafkaError, match=rf"{topic_names(fresh).raw}: .*replication factor"):
        await create_topics(other(fresh, replication_factor=3))


def test_the_command_makes_them_twice_and_exits_0(fresh: Settings) -> None:
    first, second = (run_eye("topics", "create", "--json", env=environment(fresh)) for _ in range(2))

    assert (first.returncode, second.returncode) == (0, 0)
    assert [state["created"] for state in json.loads(first.stdout)] == [True] * 4
    assert [state["created"] for state in json.loads(second.stdout)] == [False] * 4


def test_a_check_of_the_command_exits_1_when_a_topic_differs(settings: Settings) -> None:
    right = run_eye("topics", "check", env=environment(settings))
    wrong = run_eye("topics", "check", env=environment(other(settings, partitions=12)))

    assert (right.returncode, wrong.returncode) == (0, 1)
    assert "3 partitions, expected 12" in wrong.stdout
    assert topic_names(settings).raw in right.stdout


async def test_apply_sets_retention_and_leaves_the_rest(fresh: Settings) -> None:
    await create_topics(fresh)
    raw, shorter = topic_names(fresh).raw, other(fresh, raw_retention_hours=24)
    await apply_changes(fresh, [TopicChange(raw, "max.message.bytes", None, "2000000")])

    (change,) = await find_changes(shorter)
    await apply_changes(shorter, [change])

    assert (change.topic, change.setting, change.then, change.deletes) == (raw, "retention.ms", "86400000", True)
    async with connected_admin(fresh) as admin:
        config = await read_config(admin, ConfigResource(ConfigResourceType.TOPIC, raw))
    assert (config["retention.ms"], config["max.message.bytes"]) == ("86400000", "2000000")
    assert config["cleanup.policy"] == "delete"
    assert await find_changes(shorter) == []


async def test_apply_shows_first_and_changes_when_told(fresh: Settings) -> None:
    await create_topics(fresh)
    env = environment(fresh) | {"EYE_RAW_RETENTION_HOURS": "24"}

    dry, refused, done, again = [
        await asyncio.to_thread(run_eye, "topics", "apply", *words, env=env)
        for words in (["--dry-run"], [], ["--yes", "--json"], ["--yes"])
    ]

    assert (dry.returncode, "86400000" in dry.stdout) == (0, True)
    assert (refused.returncode, "say --yes" in refused.stderr) == (1, True)
    assert (json.loads(done.stdout)["applied"], len(json.loads(done.stdout)["changes"])) == (True, 1)
    assert "as the settings say" in again.stdout


@pytest.mark.parametrize(
    ("now", "deletes"), [("3600000", False), ("86400000", False), ("-1", True), ("86400001", True)]
)
def test_a_change_that_deletes_records_is_known(now: str, deletes: bool) -> None:
    assert TopicChange("events.raw", "retention.ms", now, "86400000").deletes is deletes
