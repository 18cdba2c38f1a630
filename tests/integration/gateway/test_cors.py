"""Pages of other origins: what a browser asks and does, as the gateway answers it."""

from __future__ import annotations

import hashlib
import json

import pytest

from schemas.settings import Settings
from tests.integration.gateway.test_json_builders import a_gateway
from tests.support.builders import an_event

SHOP, BLOG, EVIL = "https://shop.example", "https://blog.example:8443", "https://evil.example"
APPLICATIONS = f"""
[[applications]]
id = "shop"
origins = ["{SHOP}"]
keys = [
    {{ sha256 = "{hashlib.sha256(b"test-key").hexdigest()}", scopes = ["write", "read"] }},
    {{ sha256 = "{hashlib.sha256(b"public-key").hexdigest()}", scopes = ["write"], public = true }},
]

[[applications]]
id = "blog"
origins = ["{BLOG}"]
keys = [{{ sha256 = "{hashlib.sha256(b"blog-key").hexdigest()}", scopes = ["write"] }}]
"""
ASKED = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}


@pytest.fixture
def with_origins(settings: Settings) -> Settings:
    settings.applications_file.write_text(APPLICATIONS)
    return settings


async def test_a_preflight_needs_no_key_but_an_allowed_origin(with_origins: Settings) -> None:
    async with a_gateway(with_origins) as client:
        del client.headers["Authorization"]
        async with client.options("/events/", headers={"Origin": SHOP, **ASKED}) as allowed:
            assert allowed.status == 204
            assert allowed.headers["Access-Control-Allow-Origin"] == SHOP
            assert allowed.headers["Access-Control-Max-Age"] == "7200"
            assert "Authorization" in allowed.headers["Access-Control-Allow-Headers"]
            assert "Access-Control-Allow-Credentials" not in allowed.headers
        async with client.options("/events/", headers={"Origin": EVIL, **ASKED}) as refused:
            assert refused.status == 403
            assert "Access-Control-Allow-Origin" not in refused.headers


async def test_an_answer_is_readable_in_the_applications_pages_alone(with_origins: Settings) -> None:
    async with a_gateway(with_origins) as client:
        readable = {}
        for origin in (SHOP, BLOG, EVIL):
            async with client.post("/events/", json=an_event(), headers={"Origin": origin}) as answer:
                assert answer.status == 202
                readable[origin] = answer.headers.get("Access-Control-Allow-Origin")
        async with client.post("/events/", data=b"{", headers={"Origin": SHOP}) as problem:
            assert (problem.status, problem.headers["Access-Control-Allow-Origin"]) == (400, SHOP)

    assert readable == {SHOP: SHOP, BLOG: None, EVIL: None}


async def test_a_beacon_sends_text_with_its_key_in_the_query(with_origins: Settings) -> None:
    async with a_gateway(with_origins) as client:
        del client.headers["Authorization"]
        headers = {"Origin": SHOP, "Content-Type": "text/plain;charset=UTF-8"}
        async with client.post("/events/?key=public-key", data=json.dumps(an_event()), headers=headers) as sent:
            assert (sent.status, (await sent.json())["accepted"]) == (202, 1)
        async with client.get("/events?key=test-key") as read:
            assert read.status == 401


@pytest.mark.parametrize("origin", [{}, {"Origin": EVIL}, {"Origin": BLOG}, {"Origin": "null"}])
async def test_a_public_key_opens_nothing_from_elsewhere(with_origins: Settings, origin: dict[str, str]) -> None:
    async with a_gateway(with_origins) as client:
        client.headers["Authorization"] = "Bearer public-key"
        async with client.post("/events/", json=an_event(), headers=origin) as refused:
            assert (refused.status, (await refused.json())["code"]) == (403, "forbidden")


async def test_a_public_key_only_writes(with_origins: Settings) -> None:
    async with a_gateway(with_origins) as client:
        client.headers["Authorization"] = "Bearer public-key"
        async with client.get("/events", headers={"Origin": SHOP}) as refused:
            assert refused.status == 403
