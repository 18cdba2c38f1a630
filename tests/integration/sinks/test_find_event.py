"""An event is found by its id in SQL, as it was sent or as its row has it."""

from __future__ import annotations

import random
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from schemas.ids import MAX_EVENT_ID, row_id
from sinks.tables.corrections import event_writer
from sinks.tables.events import event_rows
from tests.unit.sinks.test_binary_builders import MOMENT, a_verdict_record, an_accepted_event

FIND = "select * from eye.find_event(%s, %s)"
SHA1_BLOCK = 64


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[AsyncConnection]:
    async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
        yield connection


async def store(connection: AsyncConnection, event_id: str, application: str = "shop", days: int = 0) -> None:
    event = an_accepted_event(event_id=event_id, application=application, occurred_at=MOMENT + timedelta(days=days))
    async with connection.transaction():
        assert await event_writer().write(connection, event_rows([a_verdict_record(event)]).rows) == 1


async def found(connection: AsyncConnection, event_id: str, application: str | None = None) -> list[str]:
    rows = await (await connection.cursor(row_factory=dict_row).execute(FIND, (event_id, application))).fetchall()
    return sorted(row["application"] for row in rows)


async def test_an_id_is_found_as_sent_and_as_the_row_has_it(connection: AsyncConnection) -> None:
    for number, application in enumerate(("shop", "blog")):
        await store(connection, "order-7", application, days=number)
    await store(connection, "order-8")

    assert await found(connection, "order-7", "shop") == ["shop"]
    assert await found(connection, str(row_id("blog", "order-7"))) == ["blog"]
    assert await found(connection, "order-7", "till") == []


async def test_a_uuid_is_found_for_each_application(connection: AsyncConnection) -> None:
    event_id = str(uuid.uuid4())
    for application in ("shop", "blog"):
        await store(connection, event_id, application)

    assert await found(connection, event_id.upper()) == ["blog", "shop"]
    assert await found(connection, event_id, "blog") == ["blog"]


async def test_an_id_that_is_no_uuid_needs_its_application(connection: AsyncConnection) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="name the application that sent it"):
        await connection.execute(FIND, ("order-7", None))


async def test_sql_makes_the_row_id_that_the_sinks_make(connection: AsyncConnection) -> None:
    seeded = random.Random(7)
    ids = ["a" * length for length in range(2 * SHA1_BLOCK)]
    ids += ["".join(chr(seeded.choice((65, 228, 8364, 128065))) for _ in range(MAX_EVENT_ID)) for _ in range(5)]
    ids += [uuid.uuid4().hex, str(uuid.uuid4()), str(uuid.uuid4()).upper(), f"{uuid.uuid4()}\n", f"{{{uuid.uuid4()}}}"]

    statement = "select eye.row_id('Läden', id) from unnest(%s::text[]) with ordinality t(id, n) order by n"
    made = await connection.execute(statement, (ids,))

    assert [value for (value,) in await made.fetchall()] == [row_id("Läden", each) for each in ids]
