"""The binary COPY format against Postgres: every value comes back unchanged."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest

from sinks.postgres import arrays, copy
from sinks.tables.corrections import event_writer
from sinks.tables.events import event_rows
from tests.unit.sinks.test_binary_builders import a_verdict_record, an_accepted_event

DEEP = b'{"a":' * 63 + b"{}" + b"}" * 63
LONG = b'{"a":"' + b"x" * 65_000 + b'"}'


@pytest.mark.parametrize(
    ("sql_type", "field", "value"),
    [
        ("uuid", copy.uuid(UUID(int=2**127 + 1)), UUID(int=2**127 + 1)),
        ("text", copy.text(""), ""),
        ("text", copy.text("🦉 né\n\\."), "🦉 né\n\\."),
        ("text", copy.NULL, None),
        ("int4", copy.int4(-(2**31)), -(2**31)),
        ("int8", copy.int8(2**63 - 1), 2**63 - 1),
        ("bool", copy.boolean(True), True),
        ("bool", copy.boolean(False), False),
        ("timestamptz", copy.timestamptz(datetime(2021, 1, 1, 9, 15, 27, 243860, UTC)), "2021-01-01 09:15:27.24386"),
        ("timestamptz", copy.timestamptz(datetime.min.replace(tzinfo=UTC)), "0001-01-01 00:00:00"),
        ("timestamptz", copy.timestamptz(datetime.max.replace(tzinfo=UTC)), "9999-12-31 23:59:59.999999"),
        ("text[]", copy.text_array(["a", "", "NULL", 'b"']), ["a", "", "NULL", 'b"']),
        ("text[]", copy.text_array([]), []),
        ("jsonb", copy.jsonb(b'{"a": [1, null]}'), {"a": [1, None]}),
    ],
)
async def test_a_value_comes_back_as_it_went_in(dsn: str, sql_type: str, field: bytes, value: Any) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection, connection.cursor() as cursor:
        await cursor.execute(f"set timezone = 'UTC'; create temporary table t (v {sql_type})")
        async with cursor.copy("copy t from stdin (format binary)") as transfer:
            await transfer.write(copy.copy_data([copy.row(field)]))

        shown = "(v at time zone 'UTC')::text" if sql_type == "timestamptz" else "v"
        await cursor.execute(f"select {shown} from t")

        assert await cursor.fetchone() == (value,)


@pytest.mark.parametrize("number", [0, 1, 3])
async def test_arrays_of_fields_are_parameters(dsn: str, number: int) -> None:
    ids = [UUID(int=i) for i in range(number)]
    names = [f"n{i}" for i in range(number)]
    times = [datetime(2021, 1, 1 + i, tzinfo=UTC) for i in range(number)]

    async with await psycopg.AsyncConnection.connect(dsn) as connection, connection.cursor() as cursor:
        arrays.take_arrays(cursor)
        parameters = (
            arrays.uuids([copy.uuid(id_) for id_ in ids]),
            arrays.texts([copy.text(name) for name in names]),
            arrays.timestamps([copy.timestamptz(time) for time in times]),
        )
        await cursor.execute("select * from unnest(%b, %b, %b)", parameters)

        assert await cursor.fetchall() == list(zip(ids, names, times, strict=True))


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b'{"n": %d}' % 2**70,
        b'{"n": 1.7976931348623157e308, "tiny": 5e-324}',
        b'{"n": -%s}' % (b"9" * 309),
        '{"owl": "🦉", "é": "\\u00e9\\ud83e\\udd89"}'.encode(),
        b'{"": "", "a\\"b": "\\\\ \\n \\u0001"}',
        b'{"twice": 1, "twice": 2}',
        DEEP,
        LONG,
    ],
    ids=["empty", "2^70", "limits of a double", "309 digits", "unicode", "odd keys", "key twice", "deep", "64 KiB"],
)
async def test_a_payload_comes_back_as_it_was_sent(dsn: str, data: bytes) -> None:
    [row] = event_rows([a_verdict_record(an_accepted_event(data=data))]).rows

    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await event_writer().write(connection, [row])
        stored = await (await connection.execute("select data::text from eye.events")).fetchone()

    assert stored is not None
    assert exactly(stored[0]) == exactly(data)


def exactly(text: str | bytes) -> Any:
    return json.loads(text, parse_int=Decimal, parse_float=Decimal)
