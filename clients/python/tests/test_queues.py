"""The queues: bounds, order, and what a disk does that is full, damaged, or shared."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from eye_client.queues.disk import DiskQueue
from eye_client.queues.memory import MemoryQueue
from eye_client.queues.queue import Queue


@pytest.fixture(params=["memory", "disk"])
def queue(request: pytest.FixtureRequest, disk: Path) -> Queue:
    return MemoryQueue(1_000, 1_000_000) if request.param == "memory" else DiskQueue(disk, 10_000_000)


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
    queue = DiskQueue(disk, 200_000)
    count = 0
    while queue.put(b"x" * 1_000):
        count += 1
    assert 100 < count < 200
    assert sum(len(bodies(queue, events=count)) for _ in range(5)) == count

    assert queue.put(b"x" * 1_000)


def test_what_is_delivered_takes_no_room(disk: Path) -> None:
    queue = DiskQueue(disk, 200_000)
    for _ in range(1_000):
        assert queue.put(b"x" * 1_000)
        assert bodies(queue) == [b"x" * 1_000]

    assert sum(path.stat().st_size for path in disk.iterdir()) < 60_000
    assert queue.take(1, 100) == []
    assert list(disk.iterdir()) == []


def test_the_files_are_for_their_owner_alone(disk: Path) -> None:
    DiskQueue(disk, 1_000_000).put(b"x")

    assert stat.S_IMODE(disk.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in disk.iterdir()} == {0o600}


def test_events_longer_than_a_batch_and_with_newlines(disk: Path) -> None:
    queue = DiskQueue(disk, 10_000_000)
    for body in (b"a" * 1_000_000, b"b\nb", b"c" * 200_000):
        queue.put(body)

    assert [bodies(queue, size=10) for _ in range(3)] == [[b"a" * 1_000_000], [b"b b"], [b"c" * 200_000]]


def test_what_a_live_process_has_is_its_own(disk: Path) -> None:
    one, other = DiskQueue(disk, 1_000_000), DiskQueue(disk, 1_000_000)
    for number in range(10):
        one.put(b"%d" % number)
    taken = one.take(4, 1_000)
    one.end(taken[:3], taken[3:])
    assert (other.take(100, 1_000), other.has_waiting, len(other)) == ([], False, 7)

    one.close()

    assert bodies(other) == [b"%d" % number for number in range(3, 10)]
    assert bodies(one) == []


WRITE = """
import sys, time
from eye_client.queues.disk import DiskQueue
queue = DiskQueue(sys.argv[1], 1_000_000)
for body in (b"a", b"b", b"c"):
    queue.put(body)
queue.end(queue.take(1, 100), [])
queue.take(1, 100)
print(flush=True)
time.sleep(60)
"""


def test_what_a_killed_process_had_goes_to_another(disk: Path) -> None:
    alive = DiskQueue(disk, 1_000_000)
    with subprocess.Popen([sys.executable, "-c", WRITE, str(disk)], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        assert not alive.has_waiting
        process.send_signal(signal.SIGKILL)

    assert alive.has_waiting
    assert bodies(alive) == [b"b", b"c"]


def test_what_is_adopted_comes_in_the_order_it_was_put(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eye_client.queues.disk._JOURNAL_BYTES", 100)
    monkeypatch.setattr("eye_client.queues.disk.LOOK_SECONDS", 0.0)
    dead = DiskQueue(disk, 1_000_000)
    expected = [b"%03d" % number for number in range(60)]
    assert all(dead.put(body) for body in expected)
    dead.leave()

    queue = DiskQueue(disk, 1_000_000)
    queue.put(b"own")
    found = [body for _ in range(61) for body in bodies(queue, events=1)]

    assert found == [*expected, b"own"]


def test_a_child_leaves_what_its_parent_holds(disk: Path) -> None:
    queue = DiskQueue(disk, 1_000_000)
    queue.put(b"parent")
    queue.before_fork()
    child = os.fork()
    if child == 0:
        queue.leave()
        mine = DiskQueue(disk, 1_000_000)
        mine.put(b"child")
        os._exit(bodies(mine) != [b"child"])
    queue.after_fork()

    assert os.waitpid(child, 0)[1] == 0
    assert bodies(queue) == [b"parent"]


def test_a_torn_event_costs_no_other(disk: Path) -> None:
    queue = DiskQueue(disk, 1_000_000)
    queue.put(b"a")
    queue.put(b"torn")
    queue.leave()
    [journal] = disk.iterdir()
    os.truncate(journal, journal.stat().st_size - 1)

    assert bodies(queue) == [b"a"]
    assert (queue.put(b"b"), bodies(queue)) == (True, [b"b"])
    assert list(disk.glob("*.damaged")) == []


def test_what_stands_behind_much_damage_is_delivered(disk: Path) -> None:
    queue = DiskQueue(disk, 10_000_000)
    for _ in range(600):
        queue.put(b"x" * 500)
    queue.put(b"last")
    queue.leave()
    [journal] = disk.iterdir()
    journal.write_bytes(journal.read_bytes().replace(b"x" * 500, b"y" * 500))

    assert [body for _ in range(9) for body in bodies(queue)] == [b"last"]
    assert len(list(disk.glob("*.damaged"))) == 1


def test_a_disk_without_locks_costs_no_files(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    DiskQueue(disk, 1_000_000).put(b"a")
    queue = DiskQueue(disk, 1_000_000)

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("eye_client.queues.journal.fcntl.flock", no_locks)
    monkeypatch.setattr("eye_client.queues.disk.REST_SECONDS", 0.0)
    files = len(os.listdir("/dev/fd"))
    for _ in range(5):
        assert (queue.put(b"b"), queue.take(1, 1)) == (False, [])

    assert (len(os.listdir("/dev/fd")), len(list(disk.iterdir()))) == (files, 1)


def test_damage_costs_only_what_it_hit_and_is_kept(disk: Path) -> None:
    queue = DiskQueue(disk, 1_000_000)
    for _ in range(200):
        queue.put(b"x" * 500)
    queue.leave()
    [journal] = disk.iterdir()
    with journal.open("r+b") as file:
        file.seek(8_000)
        file.write(os.urandom(6_000))
    (disk / "1.journal").write_bytes(b"no journal, and never was one\n" * 200)

    assert len([body for _ in range(3) for body in bodies(queue, events=200) if body == b"x" * 500]) >= 185
    assert len(list(disk.glob("*.damaged"))) == 2
    assert queue.put(b"new")


FULL = """
import resource, sys
from eye_client.queues.disk import DiskQueue
queue = DiskQueue(sys.argv[1], 1_000_000_000)
assert queue.put(b"x" * 500)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
taken = 1
while queue.put(b"x" * 500):
    taken += 1
delivered = 0
while entries := queue.take(10, 1_000_000):
    delivered += len(entries)
    queue.end(entries, [])
print(taken, delivered, len(queue), queue.has_waiting)
"""


def test_a_disk_without_room_can_still_be_delivered(disk: Path) -> None:
    run = subprocess.run([sys.executable, "-c", FULL, str(disk)], capture_output=True, text=True, check=True)
    taken, delivered, left, has_waiting = run.stdout.split()

    assert int(taken) > 20
    assert (delivered, left, has_waiting) == (taken, "0", "False")


def test_a_place_that_can_not_be_written_refuses(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    assert not DiskQueue(tmp_path / "file", 1_000_000).put(b"x")
    assert not DiskQueue(tmp_path / "file" / "queue", 1_000_000).put(b"x")
