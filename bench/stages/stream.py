"""The stream alone, against a plain Faust agent and against the least that has to be done.

The same corpus in fresh topics each time; in turn, several times: a plain Faust agent
(`async for event in stream: judge, await topic.send`), aiokafka's consumer with the pydantic validator and
nothing else, and the stream (validated, grouped by session, forwarded, exactly once), each in a process and
under a group of its own. Then the stream with many sessions open, and a restart that restores them.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence

from bench.fill import fill_raw
from bench.machine import Figure, Machine, measured
from bench.report import Result
from schemas.settings import Settings

PLAIN_EVENTS = 8_000
SESSIONS_FEW, SESSIONS_MANY = 6_000, 600_000
"""A thousand and a hundred thousand sessions a partition."""


def measure(machine: Machine, *, events: int, repeat: int) -> list[Result]:
    """Measure all three in turn."""

    def turn() -> tuple[Figure, Figure, Figure]:
        plain = measured("bench.references.plain_faust", _filled(machine, PLAIN_EVENTS), PLAIN_EVENTS)
        settings = _filled(machine, events)
        return (
            plain,
            measured("bench.references.ceiling", settings, events),
            measured("bench.stages.our_stream", settings, events),
        )

    plain, ceiling, ours = zip(*(machine.calmly(turn) for _ in range(repeat)), strict=True)
    return _results(plain, ceiling, ours)


def measure_sessions(machine: Machine, *, events: int) -> list[Result]:
    """Measure the stream with few and with many sessions, which take turns, and the restoring.

    Each session has an event at least: with fewer events than SESSIONS_MANY there are fewer sessions.
    """
    sessions = min(SESSIONS_MANY, events)
    few = measured("bench.stages.our_stream", _filled(machine, events, sessions=SESSIONS_FEW, even=True), events)
    settings = _filled(machine, events, sessions=sessions, even=True)
    many = measured("bench.stages.our_stream", settings, events)
    asyncio.run(fill_raw(settings, 1_000, seed=2))
    again = measured("bench.stages.our_stream", settings, events + 1_000)
    share = many["rate"] / few["rate"]
    return [
        Result(
            "stream", f"{sessions // 6:,} sessions a partition", f"{many['rate']:,.0f} events/s",
            f"{SESSIONS_FEW // 6:,}: {few['rate']:,.0f} events/s", f">= 0.8: {share:.2f}", share >= 0.8,
        ),
        Result(
            "stream", "peak RSS with these", f"{many['peak_rss_mib']:.0f} MiB", "", "< 400", many["peak_rss_mib"] < 400
        ),
        Result(
            "stream", "from its start to its first chunk, sessions restored", f"{again['ready_s']:.1f} s", "",
            "< 5 and the start", again["ready_s"] < 5 + few["ready_s"],
        ),
    ]  # fmt: skip


def _filled(machine: Machine, number: int, *, sessions: int = 50_000, even: bool = False) -> Settings:
    settings = asyncio.run(machine.settings())
    asyncio.run(fill_raw(settings, number, sessions=sessions, even=even))
    return settings


def _results(plain: Sequence[Figure], ceiling: Sequence[Figure], ours: Sequence[Figure]) -> list[Result]:
    def median(figures: Sequence[Figure], name: str) -> float:
        return statistics.median(figure[name] for figure in figures)

    rate, cpu = median(ours, "rate"), median(ours, "cpu_us")
    plain_rate, limit = median(plain, "rate"), median(ceiling, "rate")
    validator = median(ceiling, "validator_us")
    return [
        Result(
            "stream", "validated, grouped, forwarded, exactly once", f"{rate:,.0f} events/s",
            f"plain Faust agent {plain_rate:,.0f}/s", f">= 35: {rate / plain_rate:.1f}", rate / plain_rate >= 35,
            {
                "stream, events/s": [f["rate"] for f in ours],
                "plain Faust agent/s": [f["rate"] for f in plain],
                "consumer and validator/s": [f["rate"] for f in ceiling],
            },
        ),
        Result(
            "stream", "of what consumer and validator reach", f"{rate:,.0f} events/s", f"{limit:,.0f} events/s",
            f">= 0.6: {rate / limit:.2f}", rate / limit >= 0.6,
        ),
        Result(
            "stream", "CPU an event", f"{cpu:.1f} µs",
            f"validator {validator:.1f} µs, plain Faust agent {median(plain, 'cpu_us'):.0f} µs",
            f"<= 1.8 validators: {cpu / validator:.2f}", cpu / validator <= 1.8,
        ),
    ]  # fmt: skip
