"""A gateway for hostile clients."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from schemas.settings import Settings
from tests.integration.gateway.hostile.raw_http import HEAD_SECONDS, IDLE_SECONDS, TRANSFER_SECONDS, a_gateway_process
from tests.support.pipeline import EyeProcess


@pytest.fixture(scope="module")
def impatient(shared_settings: Settings) -> Iterator[EyeProcess]:
    """Lend a gateway with short time limits, that logs all it can."""
    limits = {"head_seconds": HEAD_SECONDS, "idle_seconds": IDLE_SECONDS, "transfer_seconds": TRANSFER_SECONDS}
    with a_gateway_process(shared_settings, 0, **limits, log_level="DEBUG") as process:
        yield process
