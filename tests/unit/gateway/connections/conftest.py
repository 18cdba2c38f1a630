"""A gateway with one connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from eye.operations.keys import add_key
from gateway.app import build_app
from schemas.settings import Settings
from tests.unit.gateway.connections.one_connection import Door


@pytest.fixture
async def door(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Door]:
    """Lend a gateway with its default settings, or with those that the test names by `under`."""
    changes = getattr(request, "param", {})
    settings = Settings.model_validate({"data_dir": tmp_path, "kafka_bootstrap_servers": "127.0.0.1:1", **changes})
    key = add_key(settings.applications_file, "shop", ["write"])
    app = build_app(settings)
    app.cleanup_ctx.clear()
    runner = web.AppRunner(app)
    await runner.setup()
    door = Door(app, runner, key)
    await asyncio.sleep(0)  # aiohttp's task begins to wait
    yield door
    door.go_on.set()
    door.connection.connection_lost(None)
    await runner.cleanup()
