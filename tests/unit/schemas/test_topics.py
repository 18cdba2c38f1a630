"""The topics: four, named with the deployment's prefix, all with the same number of partitions."""

from __future__ import annotations

from schemas.settings import Settings
from schemas.topics import topic_names, topic_specs

HOUR_MS = 3_600_000


def test_without_a_prefix_the_topics_have_their_plain_names() -> None:
    names = topic_names(Settings())

    assert (names.raw, names.validated, names.rejected) == ("events.raw", "events.validated", "events.rejected")
    assert names.sessions == "sessions"


def test_a_prefix_stands_before_every_name() -> None:
    settings = Settings(topic_prefix="blue.")

    assert [spec.name for spec in topic_specs(settings)] == [
        "blue.events.raw", "blue.events.validated", "blue.events.rejected", "blue.sessions",
    ]  # fmt: skip


def test_all_have_the_partitions_and_replicas_of_the_settings() -> None:
    specs = topic_specs(Settings(partitions=12, replication_factor=3))

    assert {(spec.partitions, spec.replication_factor) for spec in specs} == {(12, 3)}
    assert {spec.replication_factor for spec in topic_specs(Settings())} == {None}


def test_events_are_kept_for_their_hours_and_sessions_by_their_key() -> None:
    settings = Settings(raw_retention_hours=1, validated_retention_hours=2, rejected_retention_hours=3)

    raw, validated, rejected, sessions = (spec.config for spec in topic_specs(settings))

    kept = [config["retention.ms"] for config in (raw, validated, rejected)]
    assert kept == [str(HOUR_MS), str(2 * HOUR_MS), str(3 * HOUR_MS)]
    assert {config["cleanup.policy"] for config in (raw, validated, rejected)} == {"delete"}
    assert sessions["cleanup.policy"] == "compact"
