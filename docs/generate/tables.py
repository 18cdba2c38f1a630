"""The page of tables, from a Postgres that the migrations were applied to."""

from __future__ import annotations

from collections import defaultdict

import psycopg

from docs.generate.markdown import page, table
from docs.generate.notes import FILLED_BY, TABLES

_TABLES = """
    select c.relname, coalesce(obj_description(c.oid), '')
    from pg_class c where c.relnamespace = 'eye'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
    order by c.relname
"""
_COLUMNS = """
    select c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
        coalesce(pg_get_expr(d.adbin, d.adrelid), ''), coalesce(col_description(c.oid, a.attnum), '')
    from pg_class c join pg_attribute a on a.attrelid = c.oid
        left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where c.relnamespace = 'eye'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
        and a.attnum > 0 and not a.attisdropped
    order by c.relname, a.attnum
"""
_INDEXES = """
    select tablename, indexdef from pg_indexes where schemaname = 'eye' order by tablename, indexname
"""


def tables_page(dsn: str) -> str:
    """Return the page: every table of schema `eye` with its columns and indexes. Raises psycopg.Error."""
    columns, indexes = defaultdict(list), defaultdict(list)
    with psycopg.connect(dsn) as connection:
        tables = connection.execute(_TABLES).fetchall()
        for name, column, kind, not_null, default, comment in connection.execute(_COLUMNS):
            meaning = comment or ""
            columns[name].append(
                [f"`{column}`", kind, "no" if not_null else "yes", f"`{default}`" if default else "", meaning]
            )
        for name, definition in connection.execute(_INDEXES):
            indexes[name].append(f"- `{definition.split(' ON ')[0].split()[-1]}`: `{definition.split(' USING ')[-1]}`")
    sections = [
        "\n\n".join(
            filter(
                None,
                [
                    f"## eye.{name}",
                    comment or TABLES.get(name, ""),
                    f"Written by `{FILLED_BY[name]}`." if name in FILLED_BY else "",
                    table(["column", "type", "null", "default", "meaning"], columns[name]),
                    "Indexes:\n\n" + "\n".join(indexes[name]) if indexes[name] else "",
                ],
            )
        )
        for name, comment in tables
        if columns[name] and not _is_month(name)
    ]
    return page(
        "Tables and columns",
        "Schema `eye` as the migrations make it (`sinks/postgres/migrations/`). `eye.events` is partitioned by"
        " the month of"
        " `occurred_at`; a month's partition (`events_YYYY_MM`) has the columns and indexes of `eye.events`.",
        *sections,
    )


def _is_month(name: str) -> bool:
    return name.startswith("events_20")
