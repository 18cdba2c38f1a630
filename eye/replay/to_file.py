"""Write records to a file, one JSON object a line."""

from __future__ import annotations

import base64
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

from eye.runs import runs
from eye.runs.errors import ReplayError
from eye.runs.plan import Span
from eye.runs.targets import CheckResult, Target
from schemas.record import RawRecord
from sinks.positions import Position
from sinks.postgres.pool import Pool, lend
from stream.runner.chunk import Chunk


class ExportedRecord(msgspec.Struct):
    """A record as a line: `value` is its JSON as it stands, or a text where it is none, or base64 of no text.

    `timestamp` is in milliseconds since 1970, as Kafka keeps it.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: str | None
    headers: dict[str, str]
    value: Any


class ToFile(Target):
    """Writes records to a file. How long it is stands in Postgres: what a crash left behind that is cut off."""

    def __init__(self, pool: Pool, path: Path, run: str = "", length: int = 0) -> None:
        """`length` is how many bytes of the file are a run's; 0 for a new run."""
        self._pool = pool
        self._path, self._length = path, length
        self._run = run
        self._file: IO[bytes] | None = None

    async def replay(self, chunk: Chunk, position: Position) -> None:
        """Write a chunk to the disk, then advance the position together with the file's length."""
        file = self._file = self._file or self._open()
        file.writelines(_encode(record) for record in chunk.records)
        file.flush()
        os.fsync(file.fileno())
        async with lend(self._pool) as connection, connection.transaction():
            await position.advance(connection, chunk, 0)
            await runs.set_option(connection, self._run, bytes=file.tell())

    async def check(self, chunk: Chunk) -> CheckResult:
        """Count the lines of a chunk."""
        return CheckResult(Counter({f"{chunk.topic}: lines": len(chunk.records)}), expected=len(chunk.records))

    async def finish(self, run: str, spans: Sequence[Span]) -> CheckResult:
        """Hold the file's lines against what was selected."""
        selected = (await runs.get(self._pool, run)).selected
        lines, twice = _count(self._path)
        return CheckResult(missing=selected - lines, twice=twice)

    async def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _open(self) -> IO[bytes]:
        if not self._length:
            return self._path.open("wb")
        if not self._path.exists() or self._path.stat().st_size < self._length:
            raise ReplayError(f"{self._path} is gone or was cut: what the run wrote can't be gone on with")
        file = self._path.open("r+b")
        file.truncate(self._length)
        file.seek(self._length)
        return file


def _encode(record: RawRecord) -> bytes:
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
    key = None if record.key is None else record.key.decode("utf-8", "replace")
    place = (record.topic, record.partition, record.offset, record.timestamp)
    return msgspec.json.encode(ExportedRecord(*place, key, headers, _value(record.value))) + b"\n"


def _value(value: bytes | None) -> Any:
    if value is None:
        return None
    try:
        msgspec.json.decode(value)
        return msgspec.Raw(value.translate(_ONE_LINE))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()


_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")
"""Within JSON a line break can only stand between values."""


class _Place(msgspec.Struct):
    topic: str
    partition: int
    offset: int


def _count(path: Path) -> tuple[int, int]:
    """Return how many records a file has, and how many lines stand for one that was there before."""
    decoder, last, lines, twice = msgspec.json.Decoder(_Place), dict[tuple[str, int], int](), 0, 0
    for line in _lines(path):
        place = decoder.decode(line)
        if place.offset <= last.get((place.topic, place.partition), -1):
            twice += 1
        else:
            last[place.topic, place.partition] = place.offset
            lines += 1
    return lines, twice


def _lines(path: Path) -> Iterable[bytes]:
    if path.exists():
        with path.open("rb") as file:
            yield from file
