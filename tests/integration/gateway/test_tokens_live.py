"""Access tokens at a gateway that runs, of an issuer that the test runs: keys that change, storms, outages, the log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from eye.local.process import wait_until
from schemas.settings import Settings
from tests.conftest import KEY
from tests.support.issuer import IssuerServer, make_key
from tests.support.pipeline import EyeProcess, an_event

LIMITED = '[[applications]]\nid = "limited"\nrate = 1\nburst = 2\n'


class Gateway:
    """A gateway that spools, since no Kafka is there, with one issuer in its applications.toml."""

    def __init__(self, process: EyeProcess, session: aiohttp.ClientSession, issuer: IssuerServer) -> None:
        self.process, self.issuer, self._session = process, issuer, session

    async def post(self, token: str, events: int = 1, **headers: str) -> tuple[int, Any]:
        body = json.dumps([an_event() for _ in range(events)]).encode()
        sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **headers}
        async with self._session.post(f"{self.process.url}/events/", data=body, headers=sent) as response:
            return response.status, await response.json(content_type=None)

    async def get(self, path: str, token: str = "") -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self._session.get(f"{self.process.url}{path}", headers=headers) as response:
            return response.status, await response.json(content_type=None)


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[Gateway]:
    async with IssuerServer() as issuer:
        settings = Settings(
            kafka_bootstrap_servers="127.0.0.1:1",
            postgres_dsn=SecretStr("host=127.0.0.1 port=1 connect_timeout=1"),
            data_dir=directory / "eye",
            log_level="DEBUG",
        )
        settings.data_dir.mkdir()
        settings.applications_file.write_text(LIMITED + issuer.entry(jwks_uri=issuer.uri))
        process = EyeProcess("gateway", 0, settings, directory / "logs")
        process.start()
        try:
            assert await asyncio.to_thread(wait_until, process.is_ready, 60)
            async with aiohttp.ClientSession() as session:
                yield Gateway(process, session, issuer)
        finally:
            await asyncio.to_thread(process.stop, 15)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(tmp_path) as gateway:
        yield gateway


async def test_a_token_writes_and_its_scopes_hold(gateway: Gateway) -> None:
    issuer = gateway.issuer

    for algorithm in ("RS256", "ES256", "EdDSA"):
        assert (await gateway.post(issuer.token(algorithm)))[0] == 202
        assert (await gateway.post(issuer.token(algorithm), Prefer="nothing"))[0] == 202
    assert (await gateway.get("/schemas", issuer.token(scope="")))[0] == 200
    status, problem = await gateway.post(issuer.token(scope="read"))
    assert (status, problem["code"]) == (403, "forbidden")
    status, problem = await gateway.post(issuer.token(exp=1))
    assert (status, problem["code"], problem["detail"]) == (401, "invalid_token", "The token has expired (exp).")
    assert (await gateway.post(KEY))[0] == 401


async def test_a_token_of_a_new_key_is_taken_at_once(gateway: Gateway) -> None:
    assert (await gateway.post(gateway.issuer.token()))[0] == 202
    gateway.issuer.keys = {"new": make_key("ec")}

    async with asyncio.timeout(2):
        assert (await gateway.post(gateway.issuer.token(kid="new")))[0] == 202

    assert gateway.issuer.fetches == 2


async def test_a_storm_of_unknown_keys_costs_one_fetch(gateway: Gateway) -> None:
    good, issuer = gateway.issuer.token(), gateway.issuer
    assert (await gateway.post(good))[0] == 202
    issuer.keys |= {f"unknown {number}": issuer.keys["ec"] for number in range(300)}
    storm = [issuer.token(kid=f"unknown {number}") for number in range(300)]
    for number in range(300):
        del issuer.keys[f"unknown {number}"]

    answers = await asyncio.gather(*(gateway.post(token) for token in storm), *(gateway.post(good) for _ in range(50)))

    assert {status for status, _ in answers[:300]} == {401}
    assert {status for status, _ in answers[300:]} == {202}
    assert issuer.fetches == 2


async def test_keys_read_before_hold_while_the_issuer_is_away(gateway: Gateway) -> None:
    known, issuer = gateway.issuer.token(), gateway.issuer
    assert (await gateway.post(known))[0] == 202
    issuer.broken = True
    issuer.keys["new"] = make_key("ec")

    status, problem = await gateway.post(issuer.token(kid="new"))

    assert (status, problem["code"]) == (503, "issuer_unavailable")
    assert (await gateway.post(issuer.token()))[0] == 202
    status, ready = await gateway.get("/readyz")
    assert (status, ready["status"]) == (200, "ready")
    assert ready["checks"]["issuers"].endswith("/keys: it answered 500")


async def test_an_application_of_the_file_limits_its_tokens(gateway: Gateway) -> None:
    token = gateway.issuer.token(azp="limited")

    answers = [await gateway.post(token, events=2) for _ in range(2)]

    assert [status for status, _ in answers] == [202, 429]
    assert "application limited" in answers[1][1]["detail"]


async def test_no_token_is_ever_logged(gateway: Gateway) -> None:
    tokens = [gateway.issuer.token(), gateway.issuer.token(exp=1), gateway.issuer.token(aud="x"), "a.b.c"]
    for token in tokens:
        await gateway.post(token)
        await gateway.get(f"/events?key={token}")

    logged = gateway.process.log.read_text()
    assert len(logged) > 100
    assert [token for token in tokens[:3] if token in logged or token.split(".")[2] in logged] == []
