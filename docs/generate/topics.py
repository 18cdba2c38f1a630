"""The page of topics, from the specifications that `eye topics create` uses."""

from __future__ import annotations

from docs.generate.markdown import page, table
from docs.generate.notes import TOPICS
from schemas.settings import Settings
from schemas.topics import sink_names, topic_specs


def topics_page() -> str:
    """Return the page: each topic with its records, its configuration and the sink that stores it."""
    settings = Settings()
    sinks = sink_names(settings)
    records = [[f"`{spec.name}`", *TOPICS[spec.name]] for spec in topic_specs(settings)]
    specs = [
        [
            f"`{spec.name}`",
            str(spec.partitions),
            ", ".join(f"`{name}={value}`" for name, value in spec.config.items()),
            f"`{sinks[spec.name]}`" if spec.name in sinks else "",
        ]
        for spec in topic_specs(settings)
    ]
    return page(
        "Topics",
        "All topics have the same number of partitions (`EYE_PARTITIONS`) and Kafka's own key hashing"
        " (murmur2). Records of"
        " `events.validated` and `events.rejected` stand in the partition of their raw record and in its order."
        " Read them"
        " with `isolation.level=read_committed`. Names and configuration: `schemas/topics.py`.",
        table(["topic", "written by", "key", "value", "headers"], records),
        "## Configuration by default",
        table(["topic", "partitions", "configuration", "stored by the sink"], specs),
    )
