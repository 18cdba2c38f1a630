"""The spool's files: what was written is there after any end of the process, in its order, and nothing else is."""

from __future__ import annotations

import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.outgoing import OutgoingRecord
from gateway.spool.record import Spooled
from gateway.spool.segment import SCAN_RECORDS, Segment
from gateway.spool.segments import Cursor, Segments

TOPIC = "t.events.raw"


def a_record(value: bytes, key: bytes = b"s") -> OutgoingRecord:
    return OutgoingRecord(key, value, [("event_id", value), ("application", b"shop")], 1_609_492_527_000)


def entries(*values: bytes, key_hash: int = 0) -> list[Spooled]:
    return [Spooled(a_record(value), key_hash) for value in values]


def numbered(count: int, start: int = 0) -> list[bytes]:
    return [b"%06d" % number for number in range(start, start + count)]


def values_of(files: Segments, partition: int = 0, partitions: int = 1) -> list[bytes]:
    return [entry.record.value for entry in all_of(files, partition, partitions)]


def all_of(files: Segments, partition: int = 0, partitions: int = 1) -> list[Spooled]:
    """Take everything of a partition."""
    found: list[Spooled] = []
    cursor, is_last = Cursor(), False
    while not is_last:
        piece, cursor, is_last = files.read(cursor, partition, partitions, 10_000)
        found += piece
    return found


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Segments]:
    made = Segments(tmp_path / "spool", TOPIC)
    yield made
    made.close()


def spools(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.spool"))


@contextmanager
def the_next_process(directory: Path) -> Iterator[Segments]:
    """Return what the next process finds in a directory."""
    made = Segments(directory, TOPIC)
    made.adopt()
    yield made
    made.close()


def snapshot(directory: Path, into: Path) -> Path:
    """Copy what a power cut would leave: what is on disk while its process still has it."""
    shutil.copytree(directory, into)
    return into


def test_records_come_back_whole_and_in_order(files: Segments) -> None:
    record = OutgoingRecord(b"\xff\x00", b'{"a": "\xc3\xa9"}', [("event_id", b""), ("x", b"\x80")], 5)
    files.append([Spooled(record, 3)])
    files.append(entries(*numbered(5_000), key_hash=3))

    found = all_of(files)

    assert found[0].record == record
    assert [entry.record.value for entry in found[1:]] == numbered(5_000)
    assert files.depth().records == 5_001
    assert files.depth().oldest == 5


def test_a_partition_has_the_records_of_its_keys(files: Segments) -> None:
    for number in range(30):
        files.append(entries(b"%d" % number, key_hash=number * 7919))

    found = [values_of(files, partition, 4) for partition in range(4)]

    assert [[int(value) * 7919 % 4 for value in values] for values in found] == [
        [partition] * len(values) for partition, values in enumerate(found)
    ]
    assert sorted(int(value) for values in found for value in values) == list(range(30))


def test_what_is_taken_is_read_again_only_after_its_release(files: Segments) -> None:
    files.append([*entries(b"1"), Spooled(a_record(b"2"), 0, leased=True), *entries(b"3")])

    found = all_of(files)
    assert [entry.record.value for entry in found] == [b"1", b"3"]
    assert values_of(files) == []
    files.release(found)

    assert values_of(files) == [b"1", b"3"]


def test_removed_records_stay_removed_and_empty_files_are_deleted(files: Segments, tmp_path: Path) -> None:
    files.append(entries(b"1", b"2", b"3"))
    found = all_of(files)

    files.remove(found[:2])

    with the_next_process(snapshot(tmp_path / "spool", tmp_path / "copy")) as copied:
        assert values_of(copied) == [b"3"]
    files.remove(found[2:])
    assert list((tmp_path / "spool").iterdir()) == []
    assert files.depth().records == 0


def test_what_was_sent_is_not_looked_through_again(files: Segments) -> None:
    for _ in range(3):
        files.append(entries(*numbered(SCAN_RECORDS)))
    sent = all_of(files)
    files.append(entries(b"left"))
    files.remove(sent)

    piece = files.read(Cursor(), 0, 1, 10_000)

    assert ([entry.record.value for entry in piece.entries], piece.is_last) == ([b"left"], True)


def test_a_torn_tail_leaves_the_commits_before_it(files: Segments, tmp_path: Path) -> None:
    for start in range(0, 100, 10):
        files.append(entries(*numbered(10, start)))
    wal = next((tmp_path / "spool").glob("*-wal")).name
    size = (tmp_path / "spool" / wal).stat().st_size

    found = []
    for number, cut in enumerate(range(size, size * 2 // 3, -1_777)):
        copy = snapshot(tmp_path / "spool", tmp_path / f"copy-{number}")
        with (copy / wal).open("r+b") as file:
            file.truncate(cut)
        with the_next_process(copy) as copied:
            found.append(values_of(copied))

    assert found[0] == numbered(100)
    assert all(values == numbered(len(values)) and len(values) % 10 == 0 for values in found)
    assert 0 < len(found[-1]) < 100


def test_a_damaged_record_is_left_out_and_kept_for_inspection(files: Segments, tmp_path: Path) -> None:
    files.append(entries(b"1", b"2", b"3"))
    files.close()
    with sqlite3.connect(spools(tmp_path / "spool")[0]) as connection:
        connection.execute("update spool set record = zeroblob(length(record)) where id = 2")
    connection.close()

    with the_next_process(tmp_path / "spool") as found:
        rest = all_of(found)
        assert [entry.record.value for entry in rest] == [b"1", b"3"]
        assert (found.depth().records, found.depth().damaged) == (2, 1)
        found.remove(rest)
        assert found.depth().damaged == 1

    assert [path.suffix for path in (tmp_path / "spool").iterdir()] == [".damaged"]


def test_of_a_damaged_database_what_can_be_read_is_read(files: Segments, tmp_path: Path) -> None:
    files.append(entries(*numbered(2_000)))
    files.close()
    path = spools(tmp_path / "spool")[0]
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xa5" * 8_192)

    with the_next_process(tmp_path / "spool") as found:
        rest = values_of(found)

    assert 100 < len(rest) < 2_000
    assert rest == numbered(len(rest))


def test_what_is_no_spool_is_put_aside(files: Segments, tmp_path: Path) -> None:
    files.append(entries(b"1"))
    (tmp_path / "spool" / f"{TOPIC}-0-0.spool").write_bytes(b"something else" * 1_000)

    assert files.adopt() == 0

    assert values_of(files) == [b"1"]
    assert [path.name for path in (tmp_path / "spool").glob("*.damaged")] == [f"{TOPIC}-0-0.damaged"]


HOLDER = """
import sys
from pathlib import Path
from gateway.spool.segments import Segments
from tests.unit.gateway.spool.test_segment import TOPIC, entries
files = Segments(Path(sys.argv[1]), TOPIC)
files.append(entries(b"1", b"2"))
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_file_is_taken_over_when_its_process_is_dead_and_not_before(files: Segments, tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "spool")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
        files.append(entries(b"3"))
        assert files.adopt() == 0
        holder.kill()
        holder.wait()

    assert files.adopt() == 2
    files.append(entries(b"4"))

    assert values_of(files) == [b"3", b"1", b"2", b"4"]


def test_spools_of_another_topic_are_left_alone(files: Segments, tmp_path: Path) -> None:
    other = Segments(tmp_path / "spool", "u.events.raw")
    other.append(entries(b"1"))
    other.close()

    assert files.adopt() == 0


def test_files_are_taken_over_in_the_order_they_were_made(tmp_path: Path) -> None:
    for value in (b"1", b"2", b"3"):
        one = Segments(tmp_path, TOPIC)
        one.append(entries(value))
        one.close()

    with the_next_process(tmp_path) as found:
        assert values_of(found) == [b"1", b"2", b"3"]


@contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """Let the operating system refuse larger files, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_failed_write_leaves_the_file_whole_and_the_next_works(files: Segments, tmp_path: Path) -> None:
    files.append(entries(b"1"))
    with files_at_most(100_000), pytest.raises(sqlite3.Error):
        files.append(entries(*numbered(10_000)))
    files.append(entries(b"2"))

    with the_next_process(snapshot(tmp_path / "spool", tmp_path / "copy")) as copied:
        assert values_of(copied) == [b"1", b"2"]
    assert values_of(files) == [b"1", b"2"]


def test_a_full_file_is_followed_by_another(files: Segments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.spool.segments.FILE_BYTES", 1_000)
    for start in range(0, 100, 10):
        files.append(entries(*numbered(10, start)))
    assert len(spools(tmp_path / "spool")) == 10

    found = all_of(files)
    files.remove(found[:55])

    assert [entry.record.value for entry in found] == numbered(100)
    assert len(spools(tmp_path / "spool")) == 5


def test_a_claimed_file_counts_what_it_has(tmp_path: Path) -> None:
    made = Segment.create(tmp_path / "a.spool")
    made.append(entries(b"1", b"2", b"3"))
    made.close()

    claimed = Segment.claim(tmp_path / "a.spool")

    assert claimed is not None
    assert (claimed.records, claimed.bytes, claimed.oldest()) == (3, made.bytes, 1_609_492_527_000)
    claimed.close()
