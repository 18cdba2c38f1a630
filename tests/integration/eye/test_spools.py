"""Events in spools are shown by `eye lag`, `eye ledger` and `eye doctor`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from eye.local.stack import environment
from gateway.outgoing import OutgoingRecord
from gateway.spool.record import Spooled
from gateway.spool.refused import RefusedRecords
from gateway.spool.segment import Segment
from kafka_client.topic_limits import lacks_right
from schemas.settings import Settings
from schemas.topics import topic_names
from tests.integration.eye.test_command import run_eye
from tests.support.ready_server import readiness, serve_readiness

A_RECORD = OutgoingRecord(b"s", b"{}", [], 1_700_000_000_000)
WEDGED = "Kafka doesn't acknowledge"


@pytest.fixture
def wedged(settings: Settings) -> Iterator[dict[str, str]]:
    """Lend a deployment whose gateway is ready, spools, and does not get rid of what it spooled."""
    with serve_readiness([readiness(records=700, oldest_seconds=61.0, kafka=WEDGED)]) as url:
        yield environment(settings) | {"EYE_GATEWAY_URLS": url}


@pytest.fixture
def abandoned(settings: Settings) -> dict[str, str]:
    """Return a deployment whose gateway died, with events in its spool."""
    written = time.time_ns() // 1_000_000 - 90_000
    path = settings.spool_directory / f"{topic_names(settings).raw}-{time.time_ns():020d}-1.spool"
    file = Segment.create(path)
    file.append([Spooled(OutgoingRecord(b"s", b"{}", [], written), 0) for _ in range(3)])
    file.close()
    return environment(settings)


def findings(env: dict[str, str]) -> dict[str, dict[str, str]]:
    report = json.loads(run_eye("doctor", "--json", env=env).stdout)
    return {found["what"]: found for found in report["findings"] if not found["ok"]}


def test_what_a_gateway_has_spooled_is_part_of_the_lag(wedged: dict[str, str]) -> None:
    lags = json.loads(run_eye("lag", "--json", env=wedged).stdout)

    assert [(lag["messages"], lag["seconds"]) for lag in lags if lag["stage"].startswith("spool")] == [(700, 61.0)]
    assert "700" in run_eye("lag", env=wedged).stdout.splitlines()[-1]


def test_the_ledger_has_a_line_of_what_is_spooled(wedged: dict[str, str]) -> None:
    assert json.loads(run_eye("ledger", "--json", env=wedged).stdout)["spooled"] == 700
    assert "spooled: 700 events wait" in run_eye("ledger", env=wedged).stdout


def test_a_wedged_gateway_and_its_spool_are_found_by_name(wedged: dict[str, str]) -> None:
    url, wrong = wedged["EYE_GATEWAY_URLS"], findings(wedged)

    assert wrong[f"gateway {url}"]["seen"] == f"kafka: {WEDGED}"
    assert "700 events wait, the oldest for 61 s" in wrong[f"spool of {url}"]["seen"]


def test_a_gateway_that_may_not_read_the_topics_limit_is_a_finding(settings: Settings) -> None:
    answer = readiness()
    answer["checks"]["limits"] = lacks_right("events.raw")
    with serve_readiness([answer]) as url:
        (wrong,) = findings(environment(settings) | {"EYE_GATEWAY_URLS": url}).values()

    assert (wrong["what"], "lacks the right DescribeConfigs" in wrong["seen"]) == (f"gateway {url}", True)


def test_what_waits_for_less_than_a_minute_is_no_finding(settings: Settings) -> None:
    with serve_readiness([readiness(records=700, oldest_seconds=59.0)]) as url:
        assert findings(environment(settings) | {"EYE_GATEWAY_URLS": url}) == {}


def test_a_spool_that_a_dead_gateway_left_is_shown(settings: Settings, abandoned: dict[str, str]) -> None:
    lags = json.loads(run_eye("lag", "--json", env=abandoned).stdout)
    (wrong,) = findings(abandoned).values()

    assert [lag["messages"] for lag in lags if lag["stage"].startswith("spool")] == [3]
    assert "3 events wait, the oldest for 9" in wrong["seen"]
    assert (wrong["what"], "eye spool drain" in wrong["mend"]) == (f"spool directory {settings.spool_directory}", True)
    assert json.loads(run_eye("ledger", "--json", env=abandoned).stdout)["spooled"] == 3


def test_the_ledger_says_where_missing_events_may_lie(settings: Settings, abandoned: dict[str, str]) -> None:
    RefusedRecords(settings.spool_directory, topic_names(settings).raw).add([Spooled(A_RECORD, 0)])
    env = abandoned | {"EYE_GATEWAY_URLS": "http://127.0.0.1:1"}

    said = run_eye("ledger", env=env).stdout
    found = json.loads(run_eye("ledger", "--json", env=env).stdout)

    assert f"3 of them in {settings.spool_directory}" in said
    assert f"refused: 1 events are set aside at {settings.spool_directory}" in said
    assert "not counted: the spool of http://127.0.0.1:1, which does not answer" in said
    assert (found["spools"][0]["abandoned"], found["refused"][0]["records"]) == (True, 1)
    assert found["silent_gateways"] == ["http://127.0.0.1:1"]


def test_events_that_kafka_refused_are_a_finding(settings: Settings) -> None:
    RefusedRecords(settings.spool_directory, topic_names(settings).raw).add([Spooled(A_RECORD, 0)])

    (wrong,) = findings(environment(settings)).values()

    assert (wrong["what"], wrong["seen"][:8]) == (f"refused events at {settings.spool_directory}", "1 events")
    assert "eye spool refused --send" in wrong["mend"]


def test_processes_that_do_not_answer_are_found_by_name(settings: Settings) -> None:
    env = environment(settings) | {
        "EYE_GATEWAY_URLS": "http://127.0.0.1:1", "EYE_STREAM_PORT": "1", "EYE_SINKS_PORT": "1",
    }  # fmt: skip

    assert {what.split()[0] for what in findings(env)} == {"gateway", "stream", "sinks"}


def test_a_mistyped_setting_is_a_finding(settings: Settings) -> None:
    (wrong,) = findings(environment(settings) | {"EYE_GATEWAY_PORTT": "1"}).values()

    assert "did you mean EYE_GATEWAY_PORT?" in wrong["seen"]
