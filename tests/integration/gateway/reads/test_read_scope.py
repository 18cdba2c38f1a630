"""EYE_READ_SCOPE=own: a key of scope read sees its own application's events, one of scope read_all everybody's."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession

from schemas.settings import Settings
from tests.integration.gateway.reads.stored_rows import (
    a_rejected_row,
    a_session_row,
    a_stored_event,
    store,
    store_events,
)
from tests.integration.gateway.test_json_builders import a_gateway

KEYS = {"shop": ["read"], "blog": ["read"], "auditor": ["read_all"]}


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[ClientSession]:
    """Lend a client of a gateway whose keys are the names of their applications; each has a row of every kind."""
    settings.applications_file.write_text(
        "\n".join(
            f'[[applications]]\nid = "{name}"\n'
            f'keys = [{{ sha256 = "{hashlib.sha256(name.encode()).hexdigest()}", scopes = {json.dumps(scopes)} }}]'
            for name, scopes in KEYS.items()
        )
    )
    for number, name in enumerate(["shop", "blog"]):
        store_events(settings, [a_stored_event(number, application=name, session_id=f"of-{name}")])
        store(settings, "rejected_events", [a_rejected_row(10 + number, application=name)])
        store(settings, "sessions", [a_session_row(number, session_id=f"of-{name}", applications=[name])])
    async with a_gateway(settings.model_copy(update={"read_scope": "own"}), until_ready=False) as made:
        yield made


async def read(client: ClientSession, key: str, path: str) -> tuple[int, Any]:
    async with client.get(path, headers={"Authorization": f"Bearer {key}"}) as answer:
        return answer.status, await answer.json(content_type=None) if answer.status == 200 else None


@pytest.mark.parametrize("listing", ["events", "errors", "sessions"])
async def test_a_listing_has_the_own_applications_items(client: ClientSession, listing: str) -> None:
    seen = {}
    for key in KEYS:
        _, page = await read(client, key, f"/{listing}")
        seen[key] = [
            item["applications"][0] if listing == "sessions" else item["application"] for item in page[listing]
        ]

    assert seen == {"shop": ["shop"], "blog": ["blog"], "auditor": ["shop", "blog"]}


@pytest.mark.parametrize(
    "path",
    [f"/events/{uuid.UUID(int=1)}", f"/events/{uuid.UUID(int=11)}", "/sessions/of-shop"],
)
async def test_anothers_item_is_not_found(client: ClientSession, path: str) -> None:
    assert [(await read(client, key, path))[0] for key in KEYS] == [200, 404, 200]


async def test_counts_exports_and_sessions_leave_out_others(client: ClientSession) -> None:
    for key, number in (("shop", 1), ("blog", 1), ("auditor", 2)):
        _, summary = await read(client, key, "/errors/summary")
        assert sum(count["count"] for count in summary["counts"]) == number
        async with client.get("/events?format=ndjson", headers={"Authorization": f"Bearer {key}"}) as answer:
            assert len((await answer.text()).splitlines()) == number
    _, page = await read(client, "blog", "/sessions/of-shop/events")
    assert page["events"] == []


async def test_a_stream_of_another_application_is_forbidden(client: ClientSession) -> None:
    assert (await read(client, "blog", "/events/stream?application=shop"))[0] == 403


async def test_anothers_event_of_the_same_id_hides_none(client: ClientSession, settings: Settings) -> None:
    store_events(settings, [a_stored_event(10, application="blog")])

    status, found = await read(client, "shop", f"/events/{uuid.UUID(int=11)}")
    assert (status, found["application"], found["status"]) == (200, "shop", "rejected")
