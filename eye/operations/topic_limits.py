"""Limits of sizes held against each other: of topics, of events, of batches and of fetches."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.publish.producer import BATCH_BYTES
from schemas.settings import Settings
from schemas.topics import largest_records, record_limit_fault


def limit_differences(settings: Settings, topic: str, max_message_bytes: int) -> Iterator[str]:
    """Yield in sentences where a topic's limit does not go with the largest record, or with what a worker fetches."""
    fault = record_limit_fault(topic, max_message_bytes, largest_records(settings)[topic])
    if fault is not None:
        yield fault
    batch = min(max_message_bytes, BATCH_BYTES)
    if settings.fetch_bytes < batch:
        yield (
            f"EYE_FETCH_BYTES is {settings.fetch_bytes:,}, and a batch may have {batch:,} bytes:"
            " raise it, since each is fetched alone"
        )
