"""The sinks, and reads by session, on a table that has no rows, two million and ten million of them.

The rows are made by SQL: applications' events of the last thirty days, in as many sessions as the corpus has and
as unevenly. The indexes are made anew afterwards, for millions of rows at once are faster without.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time

import aiohttp
import psycopg

from bench.corpus import SESSIONS
from bench.fill import fill_validated
from bench.machine import Figure, Machine, eye, measured
from bench.report import Result
from bench.stages.gateway import serving
from eye.local.remembered_settings import free_port
from eye.operations.keys import add_key
from eye.operations.topics import create_topics
from schemas.settings import Settings

ROWS = (0, 2_000_000, 10_000_000)
EVENTS = 200_000
REPEAT = 3
READS = 1_000

_INDEXES = """
select indexname, replace(indexdef, ' ON ONLY ', ' ON ') from pg_indexes
where schemaname = 'eye' and tablename = 'events'
"""

_MAKE_EVENTS = """
insert into eye.events (
    event_id, application, session_id, category, name, occurred_at, received_at, schema_version, data,
    source_partition, source_offset
)
select
    uuidv7(at - now()), 'growth', 'session-' || floor(power(%(sessions)s, random())), 'page interaction', 'pageview',
    at, at, 1, jsonb_build_object('host', 'shop.example.com', 'path', '/products/' || number %% 10000),
    number %% 6, number
from (
    select number, now() - interval '30 days' * (1 - number / %(last)s::float8) as at
    from generate_series(%(first)s::bigint, %(last)s::bigint) number
) made
"""

_MAKE_KEYS = """
insert into eye.event_keys
select event_id, application, occurred_at from eye.events
where application = 'growth' and source_offset >= %(first)s
"""


def measure(machine: Machine) -> list[Result]:
    """Measure at each size, several times."""
    settings = asyncio.run(machine.settings(gateway_port=free_port()))
    key = add_key(settings.applications_file, "bench", ["read"])
    sunk: list[float] = []
    reads: list[Figure] = []
    there = 0
    for rows in ROWS:
        _grow(settings.dsn, there, rows)
        there = rows
        figures = [
            _sink(settings, f"{settings.topic_prefix}{rows}.{number}.", number + rows) for number in range(REPEAT)
        ]
        sunk.append(statistics.median(figure["rate"] for figure in figures))
        with serving(eye("gateway"), settings, settings.gateway_port):
            reads.append(asyncio.run(_read(settings, key)))
    kept = sunk[-1] / sunk[0]
    rates = [f"{rows:,}: {rate:,.0f}" for rows, rate in zip(ROWS, sunk, strict=True)]
    p99s = [f"{rows:,}: {figure['p99_ms']:.1f}" for rows, figure in zip(ROWS, reads, strict=True)]
    worst = max(figure["p99_ms"] for figure in reads)
    return [
        Result(
            "growth", "sinks, rows that are there", ", ".join(rates) + " rows/s",
            f"into the empty table {sunk[0]:,.0f} rows/s", f"> 0.7: {kept:.2f}", kept > 0.7,
            {f"sinks, table of {rows:,}, rows/s": [rate] for rows, rate in zip(ROWS, sunk, strict=True)},
        ),
        Result(
            "growth", "reads by session, p99", ", ".join(p99s) + " ms", f"p50 {reads[-1]['p50_ms']:.1f} ms",
            "< 10 ms", worst < 10,
            {f"reads by session, table of {rows:,}, p99 ms": [figure["p99_ms"]]
             for rows, figure in zip(ROWS, reads, strict=True)},
        ),
    ]  # fmt: skip


def _grow(dsn: str, there: int, rows: int) -> None:
    """Make the table `rows` long, of which `there` are made."""
    if rows == there:
        return
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set maintenance_work_mem = '512MB'")
        indexes = connection.execute(_INDEXES).fetchall()
        for name, _ in indexes:
            connection.execute(f"drop index eye.{name}")
        connection.execute("alter table eye.event_keys drop constraint event_keys_pkey")
        span = {"first": there + 1, "last": rows}
        connection.execute(_MAKE_EVENTS, {**span, "sessions": SESSIONS})
        connection.execute(_MAKE_KEYS, span)
        connection.execute("alter table eye.event_keys add primary key (event_id, application)")
        for _, definition in indexes:
            connection.execute(definition)
        connection.execute("vacuum (analyze) eye.events, eye.event_keys")
        connection.execute("checkpoint")


def _sink(settings: Settings, prefix: str, seed: int) -> Figure:
    """Store new events from topics of their own."""
    fresh = settings.model_copy(update={"topic_prefix": prefix, "group": prefix})
    asyncio.run(create_topics(fresh))
    asyncio.run(fill_validated(fresh, EVENTS, seed=seed + 10))
    return measured("bench.stages.our_sinks", fresh, EVENTS)


async def _read(settings: Settings, key: str) -> Figure:
    """Read the first page of one session after the other."""
    url = f"http://127.0.0.1:{settings.gateway_port}/events"
    chance, seconds = random.Random(1), []
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:
        for _ in range(READS):
            parameters = {"session_id": f"session-{int(SESSIONS ** chance.random())}"}
            begin = time.perf_counter()
            async with session.get(url, params=parameters) as answer:
                answer.raise_for_status()
                await answer.read()
            seconds.append(time.perf_counter() - begin)
    quantiles = statistics.quantiles(seconds, n=100)
    return {"p50_ms": quantiles[49] * 1000, "p99_ms": quantiles[98] * 1000}
