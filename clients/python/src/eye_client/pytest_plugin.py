"""The pytest fixtures `fake_eye` and `fake_async_eye`, found by pytest where this distribution is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from eye_client.testing import FakeAsyncEye, FakeEye


@pytest.fixture
def fake_eye() -> FakeEye:
    """Give a client that records: `fake_eye.events`, `fake_eye.of(category, name)`."""
    from eye_client.testing import FakeEye  # not before it is asked for: coverage sees all of it

    return FakeEye()


@pytest.fixture
def fake_async_eye() -> FakeAsyncEye:
    """Give an asyncio client that records."""
    from eye_client.testing import FakeAsyncEye

    return FakeAsyncEye()
