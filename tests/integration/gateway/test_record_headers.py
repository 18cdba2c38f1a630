"""What a raw record says beside the event: the sender's clock, and what its application states of unknown types."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.settings import Settings
from tests.conftest import KEY
from tests.integration.gateway.test_json_builders import a_gateway, an_event, patient, post, records_of


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Return a deployment of the test's own, without a limit on how long this machine may take."""
    return patient(settings)


def state(settings: Settings, unknown_event_types: str) -> None:
    """State in applications.toml what becomes of the types of `shop` that the catalogue lacks."""
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    settings.applications_file.write_text(
        f'[[applications]]\nid = "shop"\nunknown_event_types = "{unknown_event_types}"\n'
        f'keys = [{{ sha256 = "{digest}", scopes = ["write", "read"] }}]\n'
    )


async def test_the_clock_of_a_request_is_a_header_of_its_records(settings: Settings) -> None:
    events = [an_event(event_id="a"), an_event(event_id="b", data={"n": float("nan")}), an_event(event_id="c")]
    async with a_gateway(settings) as client:
        for sent_at in ("2021-01-01T09:15:30.250Z", "soon"):
            for batch in (events, events[:1]):
                status, _ = await post(client, json.dumps({"sent_at": sent_at, "events": batch}).encode())
                assert status == 202

    records = await records_of(settings, 8)
    assert {record.value for record in records} == {json.dumps(event).encode() for event in events}
    with_time = [record for record in records if dict(record.headers).get("sent_at") == b"1609492530250"]
    without = [record for record in records if "sent_at" not in dict(record.headers)]
    assert (len(with_time), len(without)) == (4, 4)


async def test_an_application_that_states_nothing_adds_no_header(settings: Settings) -> None:
    async with a_gateway(settings) as client:
        await post(client, an_event())

    (record,) = await records_of(settings, 1)
    assert [name for name, _ in record.headers] == ["event_id", "application", "received_at", "traceparent"]


@pytest.mark.parametrize(("stated", "setting", "status"), [("accept", "reject", "ok"), ("reject", "accept", "invalid")])
async def test_unknown_types_are_judged_as_their_application_states(
    settings: Settings, stated: str, setting: str, status: str
) -> None:
    settings = settings.model_copy(update={"unknown_event_types": setting})
    state(settings, stated)
    batch = [an_event(name="dance", event_id="a"), an_event(event_id="b")]

    async with a_gateway(settings) as client:
        async with client.post("/events/validate", json=batch) as response:
            validated = await response.json()
        async with client.post("/events/", json=batch, headers={"Prefer": "handling=strict"}) as response:
            strict = await response.json()
        await post(client, batch)

    for answer in (validated, strict):
        assert [result["status"] for result in answer["results"]] == [status, "ok"]
    records = await records_of(settings, 4 if status == "ok" else 3)
    assert {dict(record.headers)["unknown_event_types"] for record in records} == {stated.encode()}


async def test_the_door_judges_times_as_the_stream_does(settings: Settings) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=2)
    event: Any = an_event(timestamp=(ahead - timedelta(seconds=5)).isoformat())

    async with a_gateway(settings) as client:
        answers = []
        for body in (
            [event],
            {"events": [event], "sent_at": ahead.isoformat()},
            [event | {"sent_at": ahead.isoformat()}],
            [event | {"sent_at": "soon"}],
        ):
            async with client.post("/events/validate", json=body) as response:
                answers.append((await response.json())["results"][0])

    assert [answer["status"] for answer in answers] == ["invalid", "ok", "ok", "invalid"]
    assert {(error["code"], error["path"]) for error in answers[0]["errors"]} == {("future_timestamp", "$.timestamp")}
    assert ("bad_timestamp", "$.sent_at") in {(error["code"], error["path"]) for error in answers[3]["errors"]}
