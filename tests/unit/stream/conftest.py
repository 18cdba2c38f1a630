"""Partitions with a fake of their work."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.unit.stream.fake_work import Bench


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    """Lend partitions that try again, and let go, after a short time."""
    monkeypatch.setattr("stream.runner.partitions._FIRST_PAUSE", 0.001)
    monkeypatch.setattr("stream.runner.partitions.LETTING_GO_SECONDS", 0.05)
    bench = Bench()
    yield bench
    await bench.partitions.stop()
