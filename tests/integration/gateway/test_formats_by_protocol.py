"""Snowplow, CloudEvents and OpenTelemetry at a gateway: where keys are, what is answered, what bad events cost."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from aiohttp import ClientSession
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status as RpcStatus
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from schemas.settings import Settings
from tests.conftest import KEY
from tests.integration.gateway.test_cors import APPLICATIONS, ASKED, EVIL, SHOP
from tests.integration.gateway.test_json_builders import a_gateway, records_of
from tests.support.builders import an_event as ours
from tests.unit.gateway.formats.test_cloudevents import an_event
from tests.unit.gateway.formats.test_otlp import a_record, a_request, as_protobuf
from tests.unit.gateway.formats.test_snowplow import POST, a_payload, wrapped

PROTOBUF, JSON = "application/x-protobuf", "application/json"


async def post(client: ClientSession, path: str, body: Any, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """POST bytes as they are, anything else as JSON, without a key unless one is given; returns the whole answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    client.headers.pop("Authorization", None)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.post(path, data=data, headers=sent, skip_auto_headers=["Content-Type"]) as answer:
        return answer.status, dict(answer.headers), await answer.read()


def statuses(body: bytes) -> list[str]:
    return [result["status"] for result in json.loads(body)["results"]]


# Snowplow


async def test_a_tracker_has_its_key_in_each_event(settings: Settings) -> None:
    async with a_gateway(settings) as client:
        sent = await post(client, POST, wrapped(a_payload(aid=KEY)), Content_Type="application/json; charset=utf-8")
        beside = await post(client, POST, wrapped(a_payload(aid="web")), X_API_Key=KEY)
        wrong = await post(client, POST, wrapped(a_payload(aid="wrong")))
        async with client.get("/i", params=a_payload(aid=KEY, e="pv", url="https://x")) as pixel:
            image = await pixel.read()

    assert [answer[0] for answer in (sent, beside, wrong)] == [200, 200, 401]
    assert json.loads(wrong[2])["message"]
    assert (pixel.status, pixel.content_type, image[:6]) == (200, "image/gif", b"GIF89a")
    records = await records_of(settings, 3)
    assert all(KEY.encode() not in (record.value or b"") for record in records)


async def test_a_tracker_is_never_answered_with_413(settings: Settings) -> None:
    few = settings.model_copy(update={"max_request_bytes": 10_000, "max_event_bytes": 2_000, "max_request_events": 2})
    large = a_payload(aid=KEY, se_la="x" * 3_000)
    async with a_gateway(few) as client:
        event = await post(client, POST, wrapped(a_payload(aid=KEY), large))
        request = await post(client, POST, b" " * 10_001)
        many = await post(client, POST, wrapped(*[a_payload(aid=KEY)] * 3))
        coded = await post(client, POST, b"x", Content_Encoding="none-such")

    assert (event[0], statuses(event[2])) == (200, ["ok", "too_large"])
    assert (request[0], statuses(request[2]), json.loads(request[2])["code"]) == (200, ["too_large"], "too_large")
    assert (many[0], json.loads(many[2])["code"], coded[0]) == (200, "too_many_events", 400)


async def test_a_tracker_may_send_a_long_event_by_get(settings: Settings) -> None:
    async with a_gateway(settings) as client:
        for size, status in ((20_000, 200), (40_000, 400)):
            async with client.get("/i", params=a_payload(aid=KEY, se_la="x" * size)) as answer:
                assert answer.status == status


async def test_a_tracker_beyond_its_rate_is_asked_again(settings: Settings) -> None:
    file = settings.applications_file
    file.write_text(file.read_text().replace('id = "shop"', 'id = "shop"\nrate = 0.001\nburst = 1'))
    async with a_gateway(settings) as client:
        answers = [await post(client, POST, wrapped(a_payload(aid=KEY))) for _ in range(2)]

    assert [status for status, _, _ in answers] == [200, 503]
    assert json.loads(answers[1][2])["code"] == "rate_limited"
    assert int(answers[1][1]["Retry-After"]) >= 1


async def test_a_tracker_in_a_page_sends_with_credentials(settings: Settings) -> None:
    settings.applications_file.write_text(APPLICATIONS)
    body = wrapped(a_payload(aid="public-key"))
    async with a_gateway(settings) as client:
        answers = [await post(client, POST, body, Origin=origin) for origin in (SHOP, EVIL)]
        async with client.options(POST, headers={"Origin": SHOP, **ASKED}) as preflight:
            asked = dict(preflight.headers)

    assert [status for status, _, _ in answers] == [200, 403]
    for headers in (answers[0][1], asked):
        assert headers["Access-Control-Allow-Origin"] == SHOP
        assert headers["Access-Control-Allow-Credentials"] == "true"
    assert "Access-Control-Allow-Origin" not in answers[1][1]


# CloudEvents


async def test_cloudevents_come_in_each_mode_to_the_path_of_events(settings: Settings) -> None:
    binary = {f"ce_{name}": value for name, value in an_event(data=None).items()}
    like_ours = json.dumps(ours(session_id="not this")).encode()
    async with a_gateway(settings) as client:
        answers = [
            await post(client, "/events/", like_ours, **binary, Content_Type=JSON, X_API_Key=KEY),
            await post(client, "/events", b"\x1f\x8b no gzip", **binary, Content_Type="image/png", X_API_Key=KEY),
            await post(client, "/events/", an_event(), Content_Type="application/cloudevents+json", X_API_Key=KEY),
            await post(client, "/events/", an_event(), X_API_Key=KEY),
            await post(client, "/events/", [an_event()], Content_Type=JSON, X_API_Key=KEY),
        ]
        batch = [an_event(), 7, an_event(sessionid=None), an_event()]
        kind = "application/cloudevents-batch+json; charset=utf-8"
        listed = await post(
            client,
            "/events/",
            gzip.compress(json.dumps(batch).encode()),
            Content_Type=kind,
            X_API_Key=KEY,
            Content_Encoding="gzip",
        )
        native = await post(client, "/events/", ours(), Content_Type="application/vnd.shop+json", X_API_Key=KEY)
        nobody = await post(client, "/events/", an_event(), Content_Type="application/cloudevents+json")
        broken = await post(client, "/events/", b"{", Content_Type="application/cloudevents+json", X_API_Key=KEY)

    assert [(status, statuses(body)) for status, _, body in answers] == [(200, ["ok"])] * 5
    assert (listed[0], statuses(listed[2])) == (200, ["ok", "invalid", "invalid", "ok"])
    assert (native[0], nobody[0]) == (202, 401)
    assert (broken[0], json.loads(broken[2])["code"], bool(json.loads(broken[2])["message"])) == (400, "not_json", True)
    records = await records_of(settings, 8)
    assert sorted({record.key for record in records}) == sorted({b"s-1", ours()["session_id"].encode()})


async def test_a_cloudevent_that_is_refused_is_answered_with_200(settings: Settings) -> None:
    async with a_gateway(settings) as client:
        answer = await post(client, "/events/", an_event(data={"x": "y" * 70_000}), X_API_Key=KEY)

    assert (answer[0], statuses(answer[2])) == (200, ["too_large"])


async def test_cloudevents_are_judged_without_being_stored(settings: Settings) -> None:
    known = an_event(type="page interaction.pageview", data={"host": "h", "path": "/"})
    async with a_gateway(settings) as client:
        judged = await post(client, "/events/validate", [known, an_event()], X_API_Key=KEY)
        strict = await post(client, "/events/", [known, an_event()], X_API_Key=KEY, Prefer="handling=strict")

    assert [(status, statuses(body)) for status, _, body in (judged, strict)] == [(200, ["ok", "invalid"])] * 2
    assert json.loads(judged[2])["results"][1]["errors"][0]["code"] == "unknown_event_type"


# OpenTelemetry


async def test_log_records_are_answered_in_their_own_encoding(settings: Settings) -> None:
    request = a_request(a_record(), a_record({}), a_record())
    packed = {"Content_Encoding": "gzip", "X_API_Key": KEY}
    async with a_gateway(settings) as client:
        good = await post(client, "/v1/logs", as_protobuf(a_request(a_record())), Content_Type=PROTOBUF, X_API_Key=KEY)
        some = await post(client, "/v1/logs", gzip.compress(as_protobuf(request)), Content_Type=PROTOBUF, **packed)
        in_json = await post(
            client, "/v1/logs", gzip.compress(json.dumps(request).encode()), Content_Type=JSON, **packed
        )

    assert [answer[0] for answer in (good, some, in_json)] == [200] * 3
    assert [answer[1]["Content-Type"] for answer in (good, some, in_json)] == [PROTOBUF, PROTOBUF, JSON]
    assert good[2] == b""
    partial = ExportLogsServiceResponse.FromString(some[2]).partial_success
    assert (partial.rejected_log_records, "log record 1" in partial.error_message) == (1, True)
    assert json.loads(in_json[2])["partialSuccess"]["rejectedLogRecords"] == "1"
    assert statuses(in_json[2]) == ["ok", "invalid", "ok"]
    await records_of(settings, 5)


@pytest.mark.parametrize(
    ("body", "headers", "status", "code", "reason"),
    [
        (b"", {}, 401, 16, "unauthorized"),
        (b"\xff", {"X_API_Key": KEY}, 400, 3, "bad_encoding"),
        (b"\x0a\x00", {"X_API_Key": KEY, "Content_Encoding": "gzip"}, 400, 3, "bad_encoding"),
        (b" " * 10_001, {"X_API_Key": KEY}, 413, 3, "too_large"),
    ],
)
async def test_a_refusal_is_a_status_in_the_requests_encoding(
    settings: Settings, body: bytes, headers: dict[str, str], status: int, code: int, reason: str
) -> None:
    few = settings.model_copy(update={"max_request_bytes": 10_000})
    async with a_gateway(few) as client:
        binary = await post(client, "/v1/logs", body, Content_Type=PROTOBUF, **headers)
        in_json = await post(client, "/v1/logs", body or b"{}", Content_Type=JSON, **headers)

    found, detail = RpcStatus.FromString(binary[2]), ErrorInfo()
    assert (binary[0], binary[1]["Content-Type"], found.code) == (status, PROTOBUF, code)
    assert found.details[0].Unpack(detail)
    assert detail.reason == reason
    told = json.loads(in_json[2])
    assert (in_json[0], in_json[1]["Content-Type"], told["code"], bool(told["message"])) == (status, JSON, code, True)


async def test_an_exporter_is_asked_again_where_nothing_is_durable(settings: Settings) -> None:
    gone = settings.model_copy(
        update={"kafka_bootstrap_servers": "127.0.0.1:1", "spool_max_bytes": 0, "acknowledge_seconds": 0.2}
    )
    async with a_gateway(gone, until_ready=False) as client:
        logs = await post(client, "/v1/logs", as_protobuf(a_request(a_record())), Content_Type=PROTOBUF, X_API_Key=KEY)
        tracker = await post(client, POST, wrapped(a_payload(aid=KEY)))
        cloud = await post(client, "/events/", an_event(), X_API_Key=KEY)

    assert [answer[0] for answer in (logs, tracker, cloud)] == [503] * 3
    assert all(answer[1]["Retry-After"] == "1" for answer in (logs, tracker, cloud))
    assert RpcStatus.FromString(logs[2]).code == 14
