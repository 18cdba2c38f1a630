"""`eye spool refused`: events that Kafka refused are shown, and sent again once the topic takes them."""

from __future__ import annotations

import asyncio
import fcntl
import json
import sqlite3

import pytest

from eye.local.stack import environment
from eye.operations.spools.lock import LOCK_NAME
from gateway.outgoing import OutgoingRecord
from gateway.spool.record import Spooled
from gateway.spool.refused import FILE_NAME, RefusedRecords
from schemas.settings import Settings
from schemas.topics import topic_names
from tests.integration.eye.test_command import Ran, run_eye
from tests.integration.eye.test_spool_command import a_record, raw_records, send_first
from tests.integration.gateway.outages.test_refused_records import LIMIT, limit_topic


def store(settings: Settings) -> RefusedRecords:
    return RefusedRecords(settings.spool_directory, topic_names(settings).raw)


def large(number: int) -> OutgoingRecord:
    return a_record(number, f"s-{number % 2}", size=2 * LIMIT)


@pytest.fixture
def refused(settings: Settings) -> Settings:
    """Return a deployment whose topic has refused five events."""
    asyncio.run(limit_topic(settings, LIMIT))
    store(settings).add([Spooled(large(number), 0) for number in range(5)])
    return settings


def send(settings: Settings) -> Ran:
    return run_eye("spool", "refused", "--send", "--yes", "--json", env=environment(settings))


def test_they_are_shown_without_their_payload(refused: Settings) -> None:
    ran = run_eye("spool", "refused", "--json", env=environment(refused))
    table = run_eye("spool", "refused", env=environment(refused)).stdout

    assert (ran.returncode, ran.json["refused"]) == (0, 5)
    assert [(one["event_id"], one["application"], one["session_id"]) for one in ran.json["records"][:2]] == [
        ("e-0", "shop", "s-0"),
        ("e-1", "shop", "s-1"),
    ]
    assert ran.json["records"][0]["bytes"] == len(large(0).value)
    assert ("e-4" in table, "xxx" in ran.stdout + table) == (True, False)


def test_while_the_topic_takes_none_of_them_they_stay(refused: Settings) -> None:
    ran = send(refused)

    assert (ran.returncode, ran.json) == (1, {"sent": 0, "copies": 0, "refused": 5})
    assert (store(refused).count(), raw_records(refused)) == (5, [])


def test_once_the_topic_takes_them_they_are_sent_once(refused: Settings) -> None:
    asyncio.run(limit_topic(refused, 1_000_000))

    first, again = send(refused), send(refused)

    assert (first.returncode, first.json["sent"]) == (0, 5)
    assert (again.returncode, again.json["sent"], store(refused).count()) == (0, 0, 0)
    found = {json.loads(record.value)["number"]: record for record in raw_records(refused)}
    assert found.keys() == set(range(5))
    assert (found[3].key, list(found[3].headers)) == (large(3).key, large(3).headers)


def test_one_that_kafka_got_before_a_kill_is_not_sent_again(refused: Settings) -> None:
    asyncio.run(limit_topic(refused, 1_000_000))
    asyncio.run(send_first(refused, [large(number) for number in range(2)]))
    store(refused).note_tries([1, 2, 3])

    ran = send(refused)

    assert (ran.returncode, ran.json) == (0, {"sent": 3, "copies": 2, "refused": 0})
    assert sorted(json.loads(record.value)["number"] for record in raw_records(refused)) == list(range(5))


def test_two_at_once_do_not_send_the_same(refused: Settings) -> None:
    with (refused.spool_directory / LOCK_NAME).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        ran = send(refused)

    assert (ran.returncode, "another process sends" in ran.stderr) == (1, True)


def test_a_file_of_an_earlier_version_is_read(settings: Settings) -> None:
    settings.spool_directory.mkdir(parents=True)
    with sqlite3.connect(settings.spool_directory / FILE_NAME) as made:
        made.execute(
            "create table refused (id integer primary key, refused_at integer not null, reason text not null,"
            " topic text not null, size integer not null, record blob not null)"
        )
    made.close()

    store(settings).add([Spooled(a_record(1), 0)])

    assert [one.record.key for one in store(settings).read(0, 10)] == [a_record(1).key]
