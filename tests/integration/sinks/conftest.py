"""A database with its tables, and the work on a partition of events."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from schemas.settings import Settings
from sinks.postgres.pool import Pool, make_pool


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    async with make_pool(Settings(postgres_dsn=SecretStr(dsn))) as pool:
        yield pool
