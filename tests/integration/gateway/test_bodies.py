"""Bodies of POST: every form is taken, and what is refused says why."""

from __future__ import annotations

import gzip
import json
import resource
import zlib
from typing import Any

import brotli
import pytest
import zstandard

from schemas.settings import Settings
from tests.integration.gateway.test_json_builders import a_gateway, an_event, patient, post, records_of


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Return a deployment of the test's own, without a limit on how long this machine may take."""
    return patient(settings)


async def test_every_form_of_body_is_taken(settings: Settings) -> None:
    one, two = json.dumps(an_event()).encode(), json.dumps(an_event(), indent=1).encode()
    line = json.dumps(an_event()).encode()
    array = b"[%s,\n%s]" % (one, two)
    bodies: list[tuple[bytes, dict[str, str]]] = [
        (one, {}),
        (array, {}),
        (b'{"events": %s, "sent_at": "2021-01-01"}' % array, {}),
        (b"%s\n\n%s\r\n" % (one, line), {"Content_Type": "application/x-ndjson"}),
        (line, {"Content_Type": "application/ndjson; charset=utf-8"}),
        (one, {"Content_Type": "text/plain;charset=UTF-8"}),
        (one, {"Content_Type": "application/octet-stream"}),
        (gzip.compress(array), {"Content_Encoding": "gzip"}),
        (gzip.compress(array) + bytes(100), {"Content_Encoding": "gzip"}),
        (zlib.compress(array), {"Content_Encoding": "deflate"}),
        (zlib.compress(array)[2:-4], {"Content_Encoding": "deflate"}),
        (zstandard.compress(array), {"Content_Encoding": "zstd"}),
        (brotli.compress(array), {"Content_Encoding": "br"}),
        (zstandard.compress(gzip.compress(array)), {"Content_Encoding": "gzip, zstd"}),
        (array, {"Content_Type": "application/vnd.shop.events+json"}),
    ]

    async with a_gateway(settings) as client:
        answers = [await post(client, body, **headers) for body, headers in bodies]

    assert [status for status, _ in answers] == [202] * len(bodies)
    assert [answer["accepted"] for _, answer in answers] == [1, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2]
    values = [record.value for record in await records_of(settings, 26)]
    assert (values.count(one), values.count(two), values.count(line)) == (14, 10, 2)


async def test_a_body_without_a_content_type_is_json(settings: Settings) -> None:
    async with (
        a_gateway(settings) as client,
        client.post("/events", data=json.dumps(an_event()), skip_auto_headers=["Content-Type"]) as answer,
    ):
        assert answer.status == 202


async def test_a_request_larger_than_a_kafka_batch_is_taken_whole(settings: Settings) -> None:
    events = [an_event(session_id="s", data={"x": "x" * 60_000}) for _ in range(80)]

    async with a_gateway(settings) as client:
        status, answer = await post(client, events)

    assert (status, answer["accepted"]) == (202, 80)
    assert [json.loads(record.value) for record in await records_of(settings, 80)] == events


LARGE = an_event(data="x" * 70_000)

REFUSED: list[tuple[Any, dict[str, str], int, str]] = [
    (b"", {}, 400, "not_json"),
    (b"no json", {}, 400, "not_json"),
    (b'{"session_id": "s"', {}, 400, "not_json"),
    (b"\x00\x01", {}, 400, "not_json"),
    (b"not compressed", {"Content_Encoding": "gzip"}, 400, "bad_encoding"),
    (gzip.compress(b"[]")[:-4], {"Content_Encoding": "gzip"}, 400, "bad_encoding"),
    (b"\x28\xb5\x2f\xfd\xff", {"Content_Encoding": "zstd"}, 400, "bad_encoding"),
    (b"[]", {"Content_Encoding": "compress"}, 415, "unsupported_encoding"),
    (b"[]", {"Content_Encoding": "gzip, compress"}, 415, "unsupported_encoding"),
    (b"[]", {"Content_Type": "application/json; charset=iso-8859-1"}, 415, "unsupported_media_type"),
    (b"{}", {"Content_Type": 'text/plain;Charset="UTF-16"'}, 415, "unsupported_media_type"),
    (gzip.compress(b"[]") + b"\0\1", {"Content_Encoding": "gzip"}, 400, "bad_encoding"),
    (b"<a/>", {"Content_Type": "application/xml"}, 415, "unsupported_media_type"),
    (b"a=b", {"Content_Type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
    (b"[" + b" " * 5 * 1024 * 1024 + b"]", {}, 413, "too_large"),
    (gzip.compress(b" " * 6 * 1024 * 1024), {"Content_Encoding": "gzip"}, 413, "too_large"),
    ([5] * 5_001, {}, 413, "too_many_events"),
    (b"5\n" * 5_001, {"Content_Type": "application/x-ndjson"}, 413, "too_many_events"),
    (LARGE, {}, 413, "too_large"),
    ([], {}, 422, "no_acceptable_event"),
    ({"events": []}, {}, 422, "no_acceptable_event"),
    (b"\n", {"Content_Type": "application/x-ndjson"}, 422, "no_acceptable_event"),
    (5, {}, 422, "no_acceptable_event"),
    ({}, {}, 422, "no_acceptable_event"),
    ([an_event(session_id=1), LARGE], {}, 422, "no_acceptable_event"),
    (an_event(name="dance"), {"Prefer": "handling=strict"}, 422, "no_acceptable_event"),
]


async def test_a_refused_request_says_why_and_stores_nothing(settings: Settings) -> None:
    async with a_gateway(settings) as client:
        for body, headers, status, code in REFUSED:
            answered, problem = await post(client, body, **headers)
            assert (answered, problem["code"], problem["status"]) == (status, code, status)
            assert {"type", "title", "status", "detail", "code"} <= problem.keys()
            assert ("results" in problem) == (status == 422 or body is LARGE)
        async with client.post("/events", data=b"no json") as answer:
            assert answer.content_type == "application/problem+json"

    await records_of(settings, 0)


async def test_a_body_of_chunks_is_bounded_too(settings: Settings) -> None:
    async def chunks() -> Any:
        for _ in range(60):
            yield b" " * 100_000

    async with a_gateway(settings) as client, client.post("/events", data=chunks()) as answer:
        assert answer.status == 413


def repeated_zeros() -> bytes:
    """Return gzip of 1 GiB in about 1 MiB, made of a part that is repeated; its end is never reached."""
    part, deflate = bytes(16 * 1024 * 1024), zlib.compressobj(wbits=31)
    start = deflate.compress(part) + deflate.flush(zlib.Z_FULL_FLUSH)
    return start + (deflate.compress(part) + deflate.flush(zlib.Z_FULL_FLUSH)) * 63


async def test_a_bomb_costs_an_answer_and_no_memory(settings: Settings) -> None:
    bomb = repeated_zeros()
    zstd_bomb = zstandard.compress(bytes(16 * 1024 * 1024)) * 64

    async with a_gateway(settings) as client:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        statuses = [(await post(client, bomb, Content_Encoding="gzip"))[0] for _ in range(3)]
        statuses += [(await post(client, zstd_bomb, Content_Encoding="zstd"))[0] for _ in range(3)]
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    assert len(bomb) < 1.5 * 1024 * 1024
    assert statuses == [413] * 6
    assert grown < 50 * 1024  # in KiB


NASTY = [
    b'{"session_id": "s", "data": NaN}',
    b'{"session_id": "s", "data": "\\u0000"}',
    b'{"session_id": "s", "data": "\\ud800"}',
    b'{"session_id": "s", "data": 1180591620717411303424}',
    b'{"session_id": "s", "data": -Infinity}',
    b'{"session_id": "s", "data": "\xff\xfe"}',
    b'{"session_id": "s", "data": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    b'{"session_id": "s", "data": ' + b"9" * 5_000 + b"}",
    b'{"session_id": "s", "session_id": "t"}',
    b'\xef\xbb\xbf{"session_id": "s"}',
    b'{"session_id": "\\ud800"}',
    b'{"session_id": "\\u0000"}',
    b'{"session_id": "s", "event_id": "\\udfff"}',
    b'{"session_id": {"a": [' + b"[" * 5_000,
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'"' * 100_000,
    b"nul",
    b"[[[]]]",
    b"-",
    b"1e999999999999",
    b"\xff" * 1_000,
    b"\x1f\x8b" * 1_000,
]


async def test_no_body_is_a_server_error(settings: Settings) -> None:
    strict = {"Prefer": "handling=strict"}

    async with a_gateway(settings) as client:
        for body in NASTY:
            for form in (body, b"[%s]" % body, b'{"events": [%s, 5]}' % body):
                for headers in ({}, strict, {"Content_Type": "application/x-ndjson"}, {"Content_Encoding": "gzip"}):
                    status, _ = await post(client, form, **headers)
                    assert status in (202, 400, 422)
            async with client.post("/events/validate", data=body) as answer:
                assert answer.status in (200, 400)


async def test_odd_values_reach_kafka_byte_for_byte(settings: Settings) -> None:
    async with a_gateway(settings) as client:
        status, answer = await post(client, b"[%s]" % b",".join(NASTY[:9]))

    assert (status, answer["accepted"]) == (202, 9)
    assert sorted(record.value for record in await records_of(settings, 9)) == sorted(NASTY[:9])
