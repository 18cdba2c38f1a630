"""Targets of a replay, and the result of checking one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from eye.runs.plan import Span
from sinks.positions import Position
from stream.runner.chunk import Chunk

_SAMPLE = 10


@dataclass
class CheckResult:
    """Counts of rows that replayed records lead to, by kind, and a few examples of those that differ.

    `kinds` are a few words each; `missing` and `twice` count what a proof must not find.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    expected: int = 0
    missing: int = 0
    twice: int = 0
    sample: list[dict[str, Any]] = field(default_factory=list)

    @property
    def present(self) -> int:
        """Number of expected rows that are present."""
        return self.expected - self.missing

    @property
    def proves(self) -> bool:
        """True when each expected row is present, and none twice."""
        return self.missing == 0 and self.twice == 0

    def add(self, other: CheckResult) -> None:
        """Take in what was found elsewhere."""
        self.kinds += other.kinds
        self.expected += other.expected
        self.missing += other.missing
        self.twice += other.twice
        self.sample = [*self.sample, *other.sample][:_SAMPLE]


class Target(Protocol):
    """One way to replay. Chunks come in order, each with the selected records alone."""

    async def replay(self, chunk: Chunk, position: Position) -> None:
        """Do what has to be done with a chunk and advance the position, in one transaction of Postgres.

        Doing it again after it was cut off changes nothing more. Raises ReplayError, KafkaError or psycopg.Error.
        """

    async def check(self, chunk: Chunk) -> CheckResult:
        """Hold what `replay` leads to against what is there, changing nothing."""

    async def finish(self, run: str, spans: Sequence[Span]) -> CheckResult:
        """Do what is left to do after the last chunk, and return what only the whole shows."""

    async def close(self) -> None:
        """Let go of what was opened."""
