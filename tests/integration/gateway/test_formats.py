"""The calls of other senders: keys, limits, durability and answers are those of POST /events/."""

from __future__ import annotations

import gzip
import hashlib
import json
from base64 import b64encode
from typing import Any

import pytest
from aiohttp import ClientSession
from yarl import URL

from gateway.ingest.formats.registry import FORMATS
from schemas.settings import Settings
from tests.conftest import KEY
from tests.integration.gateway.test_cors import APPLICATIONS, ASKED, EVIL, SHOP
from tests.integration.gateway.test_json_builders import a_gateway, records_of
from tests.unit.gateway.formats.test_posthog import a_capture
from tests.unit.gateway.formats.test_segment import a_track

BASIC = {"Authorization": f"Basic {b64encode(f'{KEY}:'.encode()).decode()}"}


async def post(client: ClientSession, path: str, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    """POST bytes as they are, anything else as JSON, without the client's own key; returns status and answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    client.headers.pop("Authorization", None)
    async with client.post(path, data=data, headers={name.replace("_", "-"): v for name, v in headers.items()}) as sent:
        return sent.status, await sent.json(content_type=None)


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/v1/batch", {"batch": [a_track()]}, BASIC),
        ("/v1/batch/", {"batch": [a_track()]}, {"X_API_Key": KEY}),
        ("/v1/batch?key=test-key", {"batch": [a_track()]}, {}),
        ("/v1/b", {"writeKey": KEY, "batch": [a_track()]}, {}),
        ("/v1/track", a_track(writeKey=KEY), {"Content_Type": "text/plain"}),
        ("/v1/t", a_track(), BASIC),
        ("/batch/", {"api_key": KEY, "batch": [a_capture()]}, {}),
        ("/capture", a_capture(api_key=KEY), {}),
        ("/i/v0/e/", [a_capture(properties={"token": KEY})], {"Content_Type": "text/plain"}),
        ("/i/v1/analytics/events", {"batch": [a_capture()]}, {"Authorization": f"Bearer {KEY}"}),
    ],
)
async def test_a_key_is_found_where_senders_put_it(
    settings: Settings, path: str, body: Any, headers: dict[str, str]
) -> None:
    async with a_gateway(settings) as client:
        status, answer = await post(client, path, body, **headers)
        other = [await post(client, path.partition("?")[0], body, X_API_Key="wrong")]

    assert (status, answer["accepted"]) == (200, 1)
    assert (other[0][0], other[0][1]["code"]) == (401, "unauthorized")
    assert other[0][1]["message"] == other[0][1]["detail"]
    (record,) = await records_of(settings, 1)
    assert dict(record.headers)["application"] == b"shop"
    assert json.loads(record.value)["session_id"].encode() == record.key
    assert KEY.encode() not in record.value


async def test_gzip_is_known_by_its_bytes(settings: Settings) -> None:
    body = gzip.compress(json.dumps({"batch": [a_track()], "api_key": KEY}).encode())
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    async with a_gateway(settings) as client:
        answers = [
            await post(client, "/v1/batch", body, **form, **BASIC, Content_Encoding="gzip"),
            await post(client, "/v1/batch", body, **form, **BASIC),
            await post(client, "/batch/?compression=gzip-js", body, Content_Type="text/plain"),
            await post(client, "/v1/batch", b"\x1f\x8bno", **BASIC),
        ]

    assert [status for status, _ in answers] == [200, 200, 200, 400]
    assert (answers[3][1]["code"], bool(answers[3][1]["message"])) == ("bad_encoding", True)


async def test_a_bad_event_does_not_cost_its_neighbours(settings: Settings) -> None:
    sent = [5, a_track(), a_track(properties={"x": "y" * 70_000}), a_track(messageId="m-2")]
    async with a_gateway(settings) as client:
        status, answer = await post(client, "/v1/batch", {"batch": sent}, **BASIC)
        none = await post(client, "/v1/batch", {"batch": [5]}, **BASIC)
        empty = await post(client, "/v1/batch", {"batch": []}, **BASIC)

    assert status == 200
    assert [result["status"] for result in answer["results"]] == ["invalid", "ok", "too_large", "ok"]
    assert (answer["success"], answer["accepted"], answer["rejected"]) == (True, 2, 2)
    assert (none[0], none[1]["rejected"], empty[0], empty[1]["results"]) == (200, 1, 200, [])
    await records_of(settings, 2)


@pytest.mark.parametrize("key", ["", "\ud800", "\0", "wrong", "x" * 100_000, None, 5, {"a": KEY}])
async def test_what_is_no_key_opens_nothing(settings: Settings, key: Any) -> None:
    async with a_gateway(settings, until_ready=False) as client:
        for path, body in (("/v1/batch", {"writeKey": key, "batch": []}), ("/batch", {"api_key": key, "batch": []})):
            status, problem = await post(client, path, body)
            assert (status, problem["code"]) == (401, "unauthorized")
        for quoted in ("%ff", "%ED%A0%80", "%00", "x" * 5000):
            async with client.get(URL(f"/v1/projects/{quoted}/settings", encoded=True)) as answer:
                assert answer.status == 401


async def test_too_many_events_or_bytes_are_refused_with_a_message(settings: Settings) -> None:
    few = settings.model_copy(update={"max_request_events": 2, "max_request_bytes": 10_000})
    async with a_gateway(few) as client:
        many = await post(client, "/v1/batch", {"batch": [a_track()] * 3}, **BASIC)
        large = await post(client, "/v1/batch", b" " * 10_001, **BASIC)

    assert (many[0], many[1]["code"], large[0], large[1]["code"]) == (413, "too_many_events", 413, "too_large")
    assert many[1]["message"]
    assert large[1]["message"]


async def test_a_rate_limit_holds_for_a_key_in_the_body(settings: Settings) -> None:
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    key = f'{{ sha256 = "{digest}", scopes = ["write"] }}'
    settings.applications_file.write_text(f'[[applications]]\nid = "shop"\nrate = 0.001\nburst = 2\nkeys = [{key}]\n')
    body = {"api_key": KEY, "batch": [a_capture()] * 2}
    async with a_gateway(settings) as client:
        first, (status, refused) = [await post(client, "/batch/", body) for _ in range(2)]

    assert (first[0], status, refused["code"]) == (200, 429, "rate_limited")


async def test_without_kafka_and_spool_the_sender_is_asked_again(settings: Settings) -> None:
    gone = settings.model_copy(
        update={"kafka_bootstrap_servers": "127.0.0.1:1", "spool_max_bytes": 0, "acknowledge_seconds": 0.2}
    )
    async with a_gateway(gone, until_ready=False) as client:
        status, problem = await post(client, "/v1/batch", {"batch": [a_track()]}, **BASIC)
        body = {"batch": [a_capture()]}
        newer = await post(client, "/i/v1/analytics/events", body, Authorization=f"Bearer {KEY}")

    assert (status, problem["code"], problem["results"][0]["status"]) == (503, "kafka_unavailable", "retry")
    assert (newer[0], newer[1]["results"][a_capture()["uuid"]]["result"]) == (200, "retry")


async def test_a_page_may_send_from_its_own_origin_alone(settings: Settings) -> None:
    settings.applications_file.write_text(APPLICATIONS)
    body = a_track(writeKey="public-key")
    async with a_gateway(settings) as client:
        ours = await post(client, "/v1/t", body, Origin=SHOP)
        theirs = await post(client, "/v1/t", body, Origin=EVIL)
        async with client.options("/v1/t", headers={"Origin": SHOP, **ASKED}) as preflight:
            assert "X-Retry-Count" in preflight.headers["Access-Control-Allow-Headers"]
        async with client.get("/v1/projects/public-key/settings", headers={"Origin": SHOP}) as answer:
            found = await answer.json()
            assert answer.headers["Access-Control-Allow-Origin"] == SHOP
        async with client.get("/v1/projects/nobody/settings", headers={"Origin": SHOP}) as answer:
            assert answer.status == 401

    assert (ours[0], theirs[0]) == (200, 403)
    host = str(client._base_url).removeprefix("http://").strip("/")
    sending = found["integrations"]["Segment.io"]
    assert sending == {"apiKey": "public-key", "apiHost": f"{host}/v1", "protocol": "http"}


async def test_a_retried_request_without_ids_adds_nothing(settings: Settings) -> None:
    body = {"batch": [a_track(messageId=None)]}
    async with a_gateway(settings) as client:
        answers = [await post(client, "/v1/batch", body, **BASIC, Idempotency_Key="one") for _ in range(2)]

    assert len({answer["results"][0]["event_id"] for _, answer in answers}) == 1


def test_no_call_has_two_formats() -> None:
    calls = [(call.method, path) for format in FORMATS for call in format.calls for path in call.paths]

    assert len(calls) == len(set(calls))


async def test_a_page_behind_a_proxy_sends_to_its_address(settings: Settings) -> None:
    behind = settings.model_copy(update={"trusted_proxies": ["127.0.0.1"]})
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "eye.example", "X-Forwarded-Prefix": "/in"}
    async with (
        a_gateway(behind, until_ready=False) as client,
        client.get(f"/v1/projects/{KEY}/settings", headers=forwarded) as answer,
    ):
        sending = (await answer.json())["integrations"]["Segment.io"]

    assert (sending["protocol"], sending["apiHost"]) == ("https", "eye.example/in/v1")
