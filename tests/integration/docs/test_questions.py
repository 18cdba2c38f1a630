"""The questions of the page for data teams, as SQL: each runs, has an answer, and is answered through indexes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.conftest import fresh_database
from tests.support.examples import ROOT
from tests.support.servers import SharedPostgres

PAGE = ROOT / "docs" / "data-teams.md"
SQL = "".join(re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.S))
QUESTIONS = re.findall(r"^-- (.+?)\n(.+?;)$", SQL, re.S | re.M)

SMALL = 1_000
"""A table of fewer rows is read whole, and that is right."""

FILL = """
select eye.make_event_partitions(3);

insert into eye.events (event_id, application, session_id, category, name, occurred_at, received_at, schema_version,
    data, client_event_id, user_id)
select eye.row_id('shop', 'order-' || n), 'shop', 'session-' || n / 10, 'page interaction',
    (array['pageview', 'cta click', 'pageview', 'scroll', 'pageview'])[n % 5 + 1],
    now() - interval '40 days' * (1 - n / 300000.0), now() - interval '40 days' * (1 - n / 300000.0), 1,
    jsonb_build_object('host', 'www.example.com', 'path', '/' || n % 50), 'order-' || n, 'user-' || n / 100
from generate_series(1, 300) n;

insert into eye.events (event_id, application, session_id, category, name, occurred_at, received_at, schema_version,
    data, user_id)
select gen_random_uuid(), 'shop', 'session-' || n / 10,
    case when n % 10 = 9 then 'form interaction' else 'page interaction' end,
    case when n % 10 = 9 then 'submit'
        else (array['pageview', 'cta click', 'pageview', 'scroll', 'pageview'])[n % 5 + 1] end,
    now() - interval '40 days' * (1 - n / 300000.0), now() - interval '40 days' * (1 - n / 300000.0), 1,
    jsonb_build_object('host', 'www.example.com', 'path', '/' || n % 50), 'user-' || n / 100
from generate_series(301, 299999) n;

insert into eye.event_keys select event_id, application, occurred_at from eye.events;

insert into eye.rejected_events (event_id, application, session_id, category, name, timestamp, received_at, codes,
    errors, raw, raw_encoding, raw_truncated)
select case when n = 7 then eye.row_id('shop', 'order-7') else gen_random_uuid() end, 'shop', 'session-' || n,
    'page interaction', 'pageview', '2021', now() - interval '40 days' * (1 - n / 30000.0),
    case when n % 20 = 7 then array['missing_field', 'wrong_type'] else array['bad_timestamp'] end,
    '[]', '{}', 'utf-8', false
from generate_series(1, 29999) n;

insert into eye.sessions (session_id, applications, revision, status, started_at, ended_at, event_count, rejected_count,
    counts_by_type, updated_at)
select 'session-' || n, array['shop'], 1, case when n > 29900 then 'open' else 'closed' end,
    now() - interval '40 days' * (1 - n / 30000.0), now() - interval '40 days' * (1 - (n + 1) / 30001.0), 10, 0, '{}',
    now()
from generate_series(0, 29999) n;
"""


@pytest.fixture(scope="module")
def filled(postgres: SharedPostgres) -> Iterator[psycopg.Connection]:
    """Lend a database with 300,000 events of 40 days."""
    with fresh_database(postgres) as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(FILL)
        connection.execute("vacuum analyze")
        yield connection


def test_the_page_has_at_least_ten_questions() -> None:
    assert len(QUESTIONS) >= 10


@pytest.mark.parametrize(("question", "statement"), QUESTIONS, ids=[question for question, _ in QUESTIONS])
def test_a_question_is_answered_through_indexes(filled: psycopg.Connection, question: str, statement: str) -> None:
    rows = filled.execute(statement.encode()).fetchall()
    plan = filled.execute(b"explain (format json) " + statement.encode()).fetchone()

    assert rows, question
    assert plan
    assert [name for name in read_whole(plan[0][0]["Plan"]) if size(filled, name) >= SMALL] == [], question
    assert "Function Scan" not in str(plan)


def test_a_question_that_no_index_answers_is_told_from_these(filled: psycopg.Connection) -> None:
    plan = filled.execute("explain (format json) select * from eye.events where data ->> 'path' = '/7'").fetchone()

    assert plan
    assert [name for name in read_whole(plan[0][0]["Plan"]) if size(filled, name) >= SMALL]


def read_whole(node: dict[str, Any]) -> Iterator[str]:
    """Yield the tables that a plan reads from end to end."""
    if node["Node Type"] == "Seq Scan":
        yield node["Relation Name"]
    for below in node.get("Plans", []):
        yield from read_whole(below)


def size(connection: psycopg.Connection, table: str) -> float:
    row = connection.execute("select reltuples from pg_class where oid = %s::regclass", (f"eye.{table}",)).fetchone()
    assert row
    return float(row[0])
