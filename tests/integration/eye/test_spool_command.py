"""`eye spool`: what gateways that have gone left is shown, and sent once, in order, as it came."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from eye.cli.terminal import out
from eye.local.stack import environment
from eye.operations.spools import sending
from gateway.metrics import Metrics
from gateway.outgoing import OutgoingRecord
from gateway.publish.partition_queues import hash_of_key
from gateway.publish.publisher import Publisher
from gateway.spool.record import Spooled
from gateway.spool.segment import Segment
from schemas.settings import Settings
from schemas.topics import topic_names
from tests.integration.eye.test_command import run_eye
from tests.integration.gateway.test_json_builders import all_records, eventually

BEGAN = 1_700_000_000_000
"""Time of the first record, long before any duplicate window."""


def a_record(number: int, session: str = "", size: int = 0) -> OutgoingRecord:
    headers = [("event_id", b"e-%d" % number), ("application", b"shop"), ("received_at", b"%d" % (BEGAN + number))]
    value = json.dumps({"number": number, "text": "x" * size}).encode()
    return OutgoingRecord((session or f"s-{number % 7}").encode(), value, headers, BEGAN + number)


def leave(settings: Settings, records: list[OutgoingRecord], pid: int = 1) -> Segment:
    """Write a file as a gateway does; returns it open, as a living gateway has it."""
    name = f"{topic_names(settings).raw}-{BEGAN + pid:020d}-gateway-2-{pid}.spool"
    file = Segment.create(settings.spool_directory / name)
    file.append([Spooled(record, hash_of_key(record.key)) for record in records])
    return file


@pytest.fixture
def left(settings: Settings) -> Settings:
    """Return a deployment with 50 events in the spools of two gateways that died, one after the other."""
    leave(settings, [a_record(number) for number in range(30)], 1).close()
    leave(settings, [a_record(number) for number in range(30, 50)], 2).close()
    return settings


def drain(settings: Settings, *options: str) -> tuple[int, Any, str]:
    """Run the command; returns its exit code, what it printed, and what it said."""
    ran = run_eye("spool", "drain", "--json", *(options or ("--yes",)), env=environment(settings))
    return ran.returncode, json.loads(ran.stdout) if ran.stdout else ran.stderr, ran.stderr


def raw_records(settings: Settings) -> list[Any]:
    return asyncio.run(all_records(settings))


def numbers_by_session(records: list[Any]) -> dict[str, list[int]]:
    found: defaultdict[str, list[int]] = defaultdict(list)
    for record in records:
        found[record.key.decode()].append(json.loads(record.value)["number"])
    return dict(found)


def test_what_dead_gateways_left_is_sent_as_it_came(left: Settings) -> None:
    began = time.time() * 1000

    code, drained, _ = drain(left)

    assert (code, drained["sent"], drained["left"], drained["complete"]) == (0, 50, 0, True)
    assert list(left.spool_directory.glob("*.spool")) == []
    records = raw_records(left)
    assert len(records) == 50
    assert all(numbers == sorted(numbers) for numbers in numbers_by_session(records).values())
    for record in records:
        sent = a_record(json.loads(record.value)["number"])
        assert (record.key, record.value, list(record.headers)) == sent[:3]
        assert record.timestamp >= began, "Kafka would delete it at once"


def test_what_is_not_old_keeps_its_time(settings: Settings) -> None:
    recent = int(time.time() * 1000) - 60_000
    leave(settings, [a_record(0)._replace(timestamp=recent)]).close()

    assert drain(settings)[0] == 0
    assert [record.timestamp for record in raw_records(settings)] == [recent]


def test_a_clock_that_was_days_ahead_stops_nothing(settings: Settings) -> None:
    ahead = int(time.time() * 1000) + 48 * 3_600_000
    leave(settings, [a_record(number)._replace(timestamp=ahead + number) for number in range(3)]).close()
    asyncio.run(send_first(settings, [a_record(0)._replace(timestamp=int(time.time() * 1000))]))

    code, drained, _ = drain(settings)

    assert (code, drained["copies"], drained["sent"]) == (0, 1, 2), drained
    assert all(record.timestamp < ahead for record in raw_records(settings))


def test_run_twice_it_sends_nothing_more(left: Settings) -> None:
    drain(left)

    code, drained, _ = drain(left)

    assert (code, drained["records"], len(raw_records(left))) == (0, 0, 50)


async def send_first(settings: Settings, records: list[OutgoingRecord]) -> None:
    """Have Kafka acknowledge records whose spool does not know of it, as when a gateway is killed just then."""
    publisher = Publisher(settings.model_copy(update={"spool_dir": settings.data_dir / "another"}), Metrics())
    await publisher.start()

    async def is_connected() -> bool:
        return publisher.kafka_fault is None

    await eventually(is_connected)
    await publisher.publish(records)
    await publisher.stop()


def test_what_kafka_got_before_the_kill_is_not_sent_again(left: Settings) -> None:
    asyncio.run(send_first(left, [a_record(number) for number in range(12)]))

    code, drained, _ = drain(left)

    assert (code, drained["copies"], drained["sent"]) == (0, 12, 38)
    assert sorted(json.loads(record.value)["number"] for record in raw_records(left)) == list(range(50))


def test_another_event_under_the_same_id_is_no_copy(left: Settings) -> None:
    mended = a_record(0)._replace(value=b'{"number": 0, "mended": true}')
    asyncio.run(send_first(left, [mended]))

    code, drained, _ = drain(left)

    assert (code, drained["copies"], drained["sent"], len(raw_records(left))) == (0, 0, 50, 51)


def test_a_living_gateway_is_named_and_nothing_is_sent(left: Settings) -> None:
    living = leave(left, [a_record(99)], 3)
    try:
        code, _, said = drain(left)
        listed = run_eye("spool", "list", "--json", env=environment(left)).json
    finally:
        living.close()

    assert code == 1
    assert f"pid {os.getpid()} has files in {left.spool_directory} and lives" in said
    assert raw_records(left) == []
    assert [(one["owner"], one["alive"], one["files"], one["records"]) for one in listed["spools"]] == [
        ("gateway-2, pid 1", False, 1, 30),
        ("gateway-2, pid 2", False, 1, 20),
        (listed["spools"][2]["owner"], True, 1, None),
    ]


def test_people_are_shown_whose_spool_holds_how_much(left: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(out, "width", 120)
    shown = run_eye("spool", "list", str(left.data_dir), env=environment(left))

    assert shown.returncode == 0
    assert all(word in shown.stdout for word in ("gateway-2, pid 1", "dead", "30", topic_names(left).raw))


def test_a_dry_run_and_a_missing_yes_send_nothing(left: Settings) -> None:
    assert drain(left, "--dry-run")[:2] == (
        0,
        {"directory": str(left.spool_directory), "topic": topic_names(left).raw, "files": 2, "records": 50},
    )
    assert drain(left, "--json")[0] == 1
    assert raw_records(left) == []


def test_the_files_of_another_deployment_are_left_alone(left: Settings) -> None:
    other = left.model_copy(update={"topic_prefix": "other."})
    leave(other, [a_record(1)], 3).close()

    code, _, said = drain(left)

    assert (code, len(raw_records(left)), "other.events.raw" in said) == (0, 50, True)
    assert len(list(left.spool_directory.glob("other.*.spool"))) == 1


def test_while_kafka_is_away_all_of_it_stays(left: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "CONNECT_SECONDS", 0.5)

    code, _, said = drain(left.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"}))

    assert (code, "nothing was sent: " in said) == (1, True)
    assert drain(left)[1]["sent"] == 50


def test_a_directory_that_is_not_there_is_named(settings: Settings, tmp_path: Path) -> None:
    ran = run_eye("spool", "drain", str(tmp_path / "nowhere"), "--yes", env=environment(settings))

    assert (ran.returncode, f"there is no directory {tmp_path / 'nowhere'}" in ran.stderr) == (1, True)


def test_waiting_ends_with_the_spool_or_with_the_time(left: Settings) -> None:
    before = run_eye("spool", "wait", "--seconds", "0.3", env=environment(left))
    drain(left)

    assert (before.returncode, "2 files are left" in before.stderr) == (1, True)
    assert run_eye("spool", "wait", "--seconds", "0.3", env=environment(left)).returncode == 0
