"""The sizes of the stream's batches follow what its topics take, told or found out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from stream.batch_limits import MAX_BATCH_BYTES, BatchLimits

TOPIC = "events.validated"


class Broker:
    """A client of Kafka whose broker tells a limit, or refuses to."""

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.asked = 0

    def get_random_node(self) -> int:
        return 1

    async def send(self, node: int, request: Any, group: int) -> Any:
        self.asked += 1
        entries = [] if self.limit is None else [("max.message.bytes", str(self.limit))]
        return SimpleNamespace(resources=[(29 if self.limit is None else 0, None, 2, TOPIC, entries)])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr("stream.batch_limits.time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


async def test_a_limit_that_is_told_bounds_the_batches(clock: list[float]) -> None:
    limits, broker = BatchLimits([TOPIC], {}), Broker(10_000)

    await limits.refresh(broker)
    await limits.refresh(broker)

    assert (limits.batch_bytes(TOPIC), limits.max_message_bytes(TOPIC), broker.asked) == (10_000, 10_000, 1)


async def test_it_is_asked_for_again_after_a_minute_or_a_refusal(clock: list[float]) -> None:
    limits, broker = BatchLimits([TOPIC], {}), Broker(10_000)
    await limits.refresh(broker)

    broker.limit = 5_000
    limits.ask_again()
    await limits.refresh(broker)
    lowered = limits.batch_bytes(TOPIC)
    broker.limit, clock[0] = 2_000_000, 61.0
    await limits.refresh(broker)

    assert (lowered, limits.batch_bytes(TOPIC)) == (5_000, MAX_BATCH_BYTES)


async def test_without_the_right_sizes_are_found_out_and_grow_again(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    limits, broker = BatchLimits([TOPIC], {}), Broker(None)

    await limits.refresh(broker)
    limits.note_refusal(TOPIC, 80_000)
    await limits.refresh(broker)
    halved = limits.batch_bytes(TOPIC)
    clock[0] = 61.0
    await limits.refresh(broker)

    assert (halved, limits.batch_bytes(TOPIC)) == (40_000, 80_000)
    assert caplog.text.count("lacks the right DescribeConfigs") == 1


async def test_a_limit_below_the_largest_record_is_said_once(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    limits, broker = BatchLimits([TOPIC], {TOPIC: 73_728}), Broker(10_000)

    await limits.refresh(broker)
    limits.ask_again()
    await limits.refresh(broker)

    assert caplog.text.count(f"max.message.bytes of {TOPIC} is 10,000, and a record may have 73,728 bytes") == 1
