"""`send` takes what is an event, drops anything else, and never raises."""

from __future__ import annotations

import dataclasses
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from clients.python.tests.sending import PAGE, view
from eye_client import Eye, Reason
from eye_client.testing import FakeEye
from schemas.event_types.page_interaction import Pageview


class Unwritable:
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


def test_an_event_has_what_was_given_and_nothing_else(fake_eye: FakeEye) -> None:
    event_id = fake_eye.send("page interaction", "pageview", "s-1", PAGE)

    [event] = fake_eye.events
    assert event.pop("event_id") == event_id
    assert datetime.fromisoformat(event.pop("timestamp").replace("Z", "+00:00")) <= datetime.now(timezone.utc)
    assert event == {"session_id": "s-1", "category": "page interaction", "name": "pageview", "data": PAGE}


def test_optional_fields_are_sent_when_given(fake_eye: FakeEye) -> None:
    moment = datetime(2021, 1, 1, 9, 15, 27, 243860, tzinfo=timezone(timedelta(hours=1)))

    view(fake_eye, user_id="u-1", context={"a": 1}, event_id="mine", timestamp=moment, schema_version=2)

    [event] = fake_eye.events
    assert (event["user_id"], event["context"], event["event_id"]) == ("u-1", {"a": 1}, "mine")
    assert (event["timestamp"], event["schema_version"]) == ("2021-01-01T09:15:27.243860+01:00", 2)


def test_event_ids_are_uuid7_and_sort_by_time(fake_eye: FakeEye) -> None:
    ids = [view(fake_eye) or "" for _ in range(100)]

    assert {uuid.UUID(event_id).version for event_id in ids} == {7}
    assert ids == sorted(ids)


def test_data_changed_after_send_changes_no_event(fake_eye: FakeEye) -> None:
    data = {"host": "www.example.com", "path": "/"}
    fake_eye.send("page interaction", "pageview", "s-1", data)
    data["path"] = "/changed"

    assert fake_eye.of("page interaction", "pageview")[0]["path"] == "/"


@pytest.mark.parametrize(
    "data",
    [{"a": object()}, {"a": "\ud800"}, {1j: 1}, {"a": Unwritable()}, {"a": 2**70}],
    ids=["object", "surrogate", "key", "raises", "number"],
)
def test_what_json_can_not_hold_is_dropped_or_sent(fake_eye: FakeEye, data: Any) -> None:
    event_id = fake_eye.send("page interaction", "pageview", "s-1", data)

    assert (event_id is None) == bool(fake_eye.counts().dropped)
    assert set(fake_eye.counts().dropped) <= {Reason.NOT_JSON.value, Reason.INTERNAL_ERROR.value}


def test_data_within_itself_is_dropped(fake_eye: FakeEye) -> None:
    data: dict[str, Any] = {}
    data["again"] = data

    assert fake_eye.send("page interaction", "pageview", "s-1", data) is None


def test_an_event_that_is_too_large_is_dropped(fake_eye: FakeEye) -> None:
    assert fake_eye.send("page interaction", "pageview", "s-1", {"path": "x" * 300_000}) is None
    assert fake_eye.counts().dropped == {"too_large": 1}


def test_a_model_is_sent_with_its_type_and_version(fake_eye: FakeEye) -> None:
    assert fake_eye.send_model(Pageview(host="www.example.com", path="/"), "s-1", user_id="u-1")

    [event] = fake_eye.events
    assert (event["category"], event["name"], event["schema_version"]) == ("page interaction", "pageview", 1)
    assert (event["data"], event["user_id"]) == (PAGE, "u-1")


def test_a_model_that_breaks_its_rules_does_not_leave(fake_eye: FakeEye) -> None:
    page = Pageview(host="www.example.com", path="/")
    page.path = 5  # type: ignore[assignment]
    unchecked = Pageview.model_construct(host="www.example.com")  # type: ignore[call-arg]

    assert fake_eye.send_model(page, "s-1") is None
    assert fake_eye.send_model(unchecked, "s-1") is None
    assert [error.path for error in fake_eye.errors] == ["$.data.path", "$.data.path"]
    assert (fake_eye.events, fake_eye.counts().dropped) == ([], {"invalid": 2})


def test_what_is_no_event_type_is_dropped(fake_eye: FakeEye) -> None:
    assert fake_eye.send_model(object(), "s-1") is None
    assert fake_eye.errors[0].code == "unknown_event_type"


@pytest.mark.parametrize(
    ("url", "key", "options"),
    [
        ("eye.example.com", "k", {}),
        ("ftp://eye.example.com", "k", {}),
        ("http://127.0.0.1", "", {}),
        ("http://127.0.0.1", "two words", {}),
        ("http://127.0.0.1", "k", {"batch_events": 0}),
        ("http://127.0.0.1", "k", {"timeout": 0}),
    ],
)
def test_options_that_can_not_be_used_are_refused(url: str, key: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="is"):
        Eye(url, key, **options)


def test_type_checkers_know_every_option() -> None:
    from eye_client.options import OptionalTerms, Options

    fields = [field.name for field in dataclasses.fields(Options)]
    assert list(OptionalTerms.__annotations__) == fields[2:]


def test_the_key_is_not_shown() -> None:
    from eye_client.options import Options

    assert "secret" not in repr(Options("http://127.0.0.1", "secret"))
