"""Client reports: what clients dropped themselves is counted, by application and by a bounded set of reasons."""

from __future__ import annotations

import pytest
from aiohttp import ClientSession

from gateway.routes.client_reports import MAX_REASONS, REASONS
from schemas.settings import Settings
from tests.integration.gateway.test_json_builders import a_gateway


async def metrics(client: ClientSession) -> list[str]:
    """Return the lines of the metric."""
    async with client.get("/metrics") as answer:
        page = await answer.text()
    return [line for line in page.splitlines() if line.startswith("eye_gateway_client_dropped_total")]


async def test_dropped_events_are_counted_by_reason(settings: Settings) -> None:
    async with a_gateway(settings) as client:
        for dropped in ({"queue_full": 3, "made up": 1}, {"queue_full": 2, "closed": 1, "also made up": 1}, {}):
            async with client.post("/client-reports", json={"dropped": dropped, "more": 1}) as answer:
                assert (answer.status, await answer.read()) == (204, b"")

        assert sorted(await metrics(client)) == [
            'eye_gateway_client_dropped_total{application="shop",reason="closed"} 1.0',
            'eye_gateway_client_dropped_total{application="shop",reason="other"} 2.0',
            'eye_gateway_client_dropped_total{application="shop",reason="queue_full"} 5.0',
        ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"dropped": 1}',
        b'{"dropped": {"closed": -1}}',
        b'{"dropped": {"closed": 1.5}}',
        b'{"dropped": {"closed": 1e400}}',
        b'{"dropped": {"\xff": 1}}',
        b'{"dropped": {%b}}' % b",".join(b'"%d": 1' % number for number in range(MAX_REASONS + 1)),
    ],
)
async def test_what_is_no_report_counts_nothing(settings: Settings, body: bytes) -> None:
    async with a_gateway(settings) as client:
        async with client.post("/client-reports", data=body, headers={"Content-Type": "application/json"}) as answer:
            assert (answer.status, (await answer.json())["code"]) == (400, "bad_request")

        assert await metrics(client) == []


async def test_a_report_needs_a_key(settings: Settings) -> None:
    report = {"dropped": {"closed": 1}}
    async with (
        a_gateway(settings) as client,
        ClientSession(client._base_url) as stranger,
        stranger.post("/client-reports", json=report) as answer,
    ):
        assert answer.status == 401


def test_the_python_clients_reasons_are_known() -> None:
    from eye_client import Reason

    assert {reason.value for reason in Reason} <= REASONS
