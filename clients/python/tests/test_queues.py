"""The queues: bounds, order, and what a disk does that is full, damaged, or shared."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eye_client.queues.disk import DiskQueue
from eye_client.queues.memory import MemoryQueue
from eye_client.queues.queue import Queue

LEASE = 60.0


@pytest.fixture(params=["memory", "disk"])
def queue(request: pytest.FixtureRequest, disk: Path) -> Queue:
    return MemoryQueue(1_000, 1_000_000) if request.param == "memory" else DiskQueue(disk, 10_000_000, LEASE)


def bodies(queue: Queue, events: int = 100, size: int = 1_000_000) -> list[bytes]:
    """Take events and settle them."""
    taken = queue.take(events, size)
    queue.end(taken, [])
    return [entry.body for entry in taken]


def test_events_come_in_order_once(queue: Queue) -> None:
    for number in range(10):
        assert queue.put(b"%d" % number)

    assert bodies(queue, events=6) + bodies(queue, events=6) == [b"%d" % number for number in range(10)]
    assert queue.take(1, 1) == []


def test_a_batch_is_bounded_by_bytes_but_for_one_event(queue: Queue) -> None:
    for _ in range(5):
        queue.put(b"x" * 100)

    assert [len(bodies(queue, size=size)) for size in (250, 10, 1_000)] == [2, 1, 2]


def test_what_is_given_back_comes_again_first(queue: Queue) -> None:
    for body in (b"a", b"b", b"c", b"d"):
        queue.put(body)
    taken = queue.take(3, 100)
    queue.end(taken[1:2], [taken[0], taken[2]])

    assert bodies(queue) == [b"a", b"c", b"d"]


def test_a_take_that_never_ended_loses_nothing() -> None:
    queue = MemoryQueue(10, 100)
    for body in (b"a", b"b"):
        queue.put(body)
    queue.take(1, 100)

    assert bodies(queue) == [b"a", b"b"]


def test_memory_is_bounded_by_events_and_bytes() -> None:
    few, small = MemoryQueue(2, 100), MemoryQueue(100, 2)
    assert [few.put(b"1") for _ in range(3)] == [True, True, False]
    assert [small.put(b"1") for _ in range(3)] == [True, True, False]
    taken = few.take(1, 100)
    assert not few.put(b"1")
    few.end(taken, [])

    assert few.put(b"1")


def test_the_disk_is_bounded_and_takes_again_when_delivered(disk: Path) -> None:
    queue = DiskQueue(disk, 200_000, LEASE)
    count = 0
    while queue.put(b"x" * 1_000):
        count += 1
    assert 100 < count < 200
    assert len(bodies(queue, events=count)) == count
    queue._resting_until = 0.0

    assert queue.put(b"x" * 1_000)


def test_the_file_is_for_its_owner_alone(disk: Path) -> None:
    DiskQueue(disk, 1_000_000, LEASE).put(b"x")

    assert {stat.S_IMODE(path.stat().st_mode) for path in disk.parent.iterdir()} == {0o600}


def test_two_processes_never_hold_the_same_event(disk: Path) -> None:
    one, other, third = (DiskQueue(disk, 1_000_000, LEASE) for _ in range(3))
    for number in range(10):
        one.put(b"%d" % number)
    first, second = one.take(4, 1_000), other.take(100, 1_000)
    one.end([], first)

    assert [entry.body for entry in second] == [b"%d" % number for number in range(4, 10)]
    assert [entry.body for entry in third.take(100, 1_000)] == [b"0", b"1", b"2", b"3"]


def test_what_a_dead_process_took_goes_to_another(disk: Path) -> None:
    dead, alive = DiskQueue(disk, 1_000_000, 0.2), DiskQueue(disk, 1_000_000, 0.2)
    dead.put(b"x")
    assert dead.take(1, 100)
    assert alive.take(1, 100) == []
    while not alive.has_waiting:
        pass

    assert bodies(alive) == [b"x"]


def test_a_lease_of_a_clock_set_back_ends(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = DiskQueue(disk, 1_000_000, LEASE)
    queue.put(b"x")
    monkeypatch.setattr(time, "time", lambda: 4e9)
    queue.take(1, 100)
    monkeypatch.undo()

    assert DiskQueue(disk, 1_000_000, LEASE).has_waiting


def test_a_late_settlement_deletes_no_later_event(disk: Path) -> None:
    late, other = DiskQueue(disk, 1_000_000, 0.05), DiskQueue(disk, 1_000_000, 0.05)
    late.put(b"x")
    taken = late.take(1, 100)
    while not other.has_waiting:
        pass
    bodies(other)
    other.put(b"y")
    late.end(taken, [])

    assert bodies(other) == [b"y"]


def test_a_damaged_file_is_kept_aside(disk: Path) -> None:
    disk.write_bytes(b"this is no database, and never was one" * 200)
    queue = DiskQueue(disk, 1_000_000, LEASE)

    assert queue.put(b"x")
    assert bodies(queue) == [b"x"]
    assert len(list(disk.parent.glob("queue.db.damaged-*"))) == 1


def test_pages_damaged_while_in_use_cost_only_what_they_held(disk: Path) -> None:
    queue = DiskQueue(disk, 10_000_000, LEASE)
    for _ in range(200):
        queue.put(b"x" * 500)
    queue.close()
    with sqlite3.connect(disk) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    connection.close()
    with disk.open("r+b") as file:
        file.seek(8_000)
        file.write(os.urandom(60_000))

    while not queue.take(1_000, 1_000_000):
        queue._resting_until = 0.0
        if queue.put(b"new"):
            break
    queue._resting_until = 0.0
    assert queue.put(b"new")


def test_a_newer_version_of_the_file_is_left_alone(disk: Path) -> None:
    with sqlite3.connect(disk) as connection:
        connection.execute("pragma user_version = 99")
    connection.close()

    assert not DiskQueue(disk, 1_000_000, LEASE).put(b"x")
    assert list(disk.parent.glob("*.damaged-*")) == []


FULL = """
import resource, sys
from eye_client.queues.disk import DiskQueue
queue = DiskQueue(sys.argv[1], 1_000_000_000, 60.0)
assert queue.put(b"x" * 500)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
taken = 1
while queue.put(b"x" * 500):
    taken += 1
delivered = 0
while entries := queue.take(10, 1_000_000):
    delivered += len(entries)
    queue.end(entries, [])
print(taken, delivered, len(queue))
"""


def test_a_disk_without_room_can_still_be_delivered(disk: Path) -> None:
    run = subprocess.run([sys.executable, "-c", FULL, str(disk)], capture_output=True, text=True, check=True)
    taken, delivered, left = map(int, run.stdout.split())

    assert taken > 20
    assert (delivered, left) == (taken, 0)


def test_a_directory_that_can_not_be_written_refuses(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    assert not DiskQueue(tmp_path / "file" / "queue.db", 1_000_000, LEASE).put(b"x")
