"""The sinks alone, against COPY of the same rows from memory into the same table, with all its indexes."""

from __future__ import annotations

import asyncio
import statistics
import time
from itertools import islice

import psycopg

from bench.corpus import encoded
from bench.corpus import events as corpus
from bench.fill import fill_validated, validated_records
from bench.machine import Figure, Machine, measured
from bench.references.ceiling import validate
from bench.report import Result
from schemas.record import Record
from schemas.settings import Settings
from sinks.postgres import copy
from sinks.tables.events import COPY_EVENTS, event_rows

ROWS_A_COPY = 10_000
VALIDATED = 20_000


def measure(machine: Machine, *, events: int, repeat: int) -> list[Result]:
    """Measure them in turn."""

    def turn() -> tuple[float, Figure, Figure]:
        validator, copied = _validator_us(), _copy(asyncio.run(machine.settings()), events)
        settings = asyncio.run(machine.settings())
        asyncio.run(fill_validated(settings, events))
        return validator, copied, measured("bench.stages.our_sinks", settings, events)

    validators, copied, ours = zip(*(machine.calmly(turn) for _ in range(repeat)), strict=True)
    rate, limit = (statistics.median(figure["rate"] for figure in figures) for figures in (ours, copied))
    cpu, validator = statistics.median(figure["cpu_us"] for figure in ours), statistics.median(validators)
    return [
        Result(
            "sinks", "events into their table, idempotent", f"{rate:,.0f} rows/s", f"COPY alone {limit:,.0f} rows/s",
            f">= 0.7: {rate / limit:.2f}", rate / limit >= 0.7,
            {"sinks, rows/s": [f["rate"] for f in ours], "COPY alone, rows/s": [f["rate"] for f in copied]},
        ),
        Result(
            "sinks", "CPU a row, in our process", f"{cpu:.1f} µs", f"validator alone {validator:.1f} µs",
            f"<= 1.6 validators (15 µs): {cpu / validator:.2f}", cpu / validator <= 1.6,
        ),
    ]  # fmt: skip


def _copy(settings: Settings, number: int) -> Figure:
    """Copy rows that are ready in memory, so many in a transaction; their making is not timed."""
    records = (
        Record("events.validated", 0, offset, 0, key, value, headers)
        for offset, (key, value, headers) in enumerate(validated_records(number))
    )
    seconds = 0.0
    with psycopg.connect(settings.dsn) as connection:
        while chunk := list(islice(records, ROWS_A_COPY)):
            data = copy.copy_data(row.copied for row in event_rows(chunk).rows)
            begin = time.perf_counter()
            with connection.cursor().copy(COPY_EVENTS) as transfer:
                transfer.write(data)
            connection.commit()
            seconds += time.perf_counter() - begin
    return {"rate": number / seconds}


def _validator_us() -> float:
    """Validate events that are in memory; returns the CPU of one in microseconds."""
    values, rules = [encoded(event) for event in corpus(VALIDATED)], Settings().rules()
    begin = time.process_time()
    validate(values, rules)
    return (time.process_time() - begin) / VALIDATED * 1e6
