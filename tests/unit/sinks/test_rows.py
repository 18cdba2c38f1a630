from __future__ import annotations

import struct
import uuid
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import row_id
from sinks.postgres import copy
from sinks.tables.events import EventFields, event_rows
from sinks.tables.rejected_events import refused_row, rejected_rows
from sinks.tables.row import Refused
from sinks.tables.sessions import session_rows
from tests.unit.sinks.test_binary_builders import (
    MOMENT,
    a_record,
    a_rejected_event,
    a_session_record,
    a_verdict_record,
    an_accepted_event,
)

CLIENT_EVENT_ID = EventFields.__struct_fields__.index("client_event_id")


def fields(copied: bytes) -> list[bytes]:
    """Take a row apart: its fields, each with its length before it."""
    (count,), at, found = struct.unpack_from("!h", copied), 2, []
    for _ in range(count):
        length = max(struct.unpack_from("!i", copied, at)[0], 0)
        found.append(copied[at : at + 4 + length])
        at += 4 + length
    assert at == len(copied)
    return found


def test_an_event_with_a_uuid_is_known_by_it_however_it_is_written() -> None:
    event_id = "0190A1B2-C3D4-7E5F-8A9B-0C1D2E3F4A5B"

    [row] = event_rows([a_verdict_record(an_accepted_event(event_id=event_id))]).rows

    assert row.event_id == copy.uuid(uuid.UUID(event_id))
    assert fields(row.copied)[-1] == copy.NULL


def test_an_id_that_is_no_uuid_is_kept_beside_the_one_made_of_it() -> None:
    [row] = event_rows([a_verdict_record(an_accepted_event(event_id="order-17"))]).rows

    assert row.event_id == copy.uuid(row_id("shop", "order-17"))
    assert fields(row.copied)[CLIENT_EVENT_ID] == copy.text("order-17")


def test_a_uuid_without_its_hyphens_is_no_uuid() -> None:
    event_id = uuid.uuid4().hex

    [row] = event_rows([a_verdict_record(an_accepted_event(event_id=event_id))]).rows

    assert fields(row.copied)[CLIENT_EVENT_ID] == copy.text(event_id)


def test_of_an_event_that_comes_again_in_a_chunk_the_first_counts() -> None:
    event_id = str(uuid.uuid4())
    first = a_verdict_record(an_accepted_event(event_id=event_id), offset=1)
    again = a_verdict_record(an_accepted_event(event_id=event_id, occurred_at=MOMENT + timedelta(days=1)), offset=2)

    rows = event_rows([first, again]).rows

    assert [row.record for row in rows] == [first]


def test_two_applications_may_use_the_same_id() -> None:
    event_id = str(uuid.uuid4())
    records = [a_verdict_record(an_accepted_event(event_id=event_id, application=name)) for name in ("shop", "blog")]

    assert len(event_rows(records).rows) == 2


def test_the_rows_keep_the_order_of_their_records() -> None:
    records = [a_verdict_record(an_accepted_event(), offset=offset) for offset in range(5)]

    assert [row.record.offset for row in event_rows(records).rows] == [0, 1, 2, 3, 4]


def test_a_row_says_where_its_raw_record_stands() -> None:
    [row] = event_rows([a_verdict_record(an_accepted_event(), offset=7)]).rows

    assert fields(row.copied)[9:11] == [copy.int4(3), copy.int8(70)]


def test_without_a_readable_source_header_the_source_is_null() -> None:
    value = a_verdict_record(an_accepted_event()).value
    strange = [(), (("source", b"somewhere"),), (("source", b"t:0:x"),), (("source", b"t:99999999999:1"),)]

    rows = [event_rows([a_record(value, headers=headers)]).rows[0] for headers in strange]

    assert [fields(row.copied)[9:11] for row in rows] == [[copy.NULL, copy.NULL]] * 4


def test_a_rejected_event_lists_each_code_once() -> None:
    [row] = rejected_rows([a_verdict_record(a_rejected_event())]).rows

    assert fields(row.copied)[7] == copy.text_array(["missing_field", "bad_timestamp"])


def test_of_a_rejected_event_twice_in_a_chunk_the_first_counts() -> None:
    event_id = str(uuid.uuid4())
    records = [a_verdict_record(a_rejected_event(event_id=event_id, raw=raw)) for raw in ("1", "2")]

    assert [row.record for row in rejected_rows(records).rows] == records[:1]


def test_of_a_session_the_newest_revision_of_a_chunk_counts() -> None:
    records = [a_session_record("s1", revision) for revision in (1, 3, 2)] + [a_session_record("s2", 1)]

    rows = session_rows(records).rows

    assert sorted((row.session_id, row.revision) for row in rows) == [("s1", 3), ("s2", 1)]


def test_a_tombstone_is_no_row_and_no_error() -> None:
    found = session_rows([a_record(None)])

    assert (found.rows, found.refused) == ([], [])


def test_a_value_that_no_stream_wrote_costs_only_itself() -> None:
    good = a_verdict_record(an_accepted_event())
    naive = a_record((good.value or b"").replace(b"27.243860Z", b"27.243860"))
    huge_version = a_record((good.value or b"").replace(b'"schema_version":1', b'"schema_version":99999999999'))
    bad = [a_record(b"no JSON"), a_record(b"\xff"), a_record(None), a_record(b"[" * 100_000), naive, huge_version]

    found = event_rows([*bad, good])

    assert [row.record for row in found.rows] == [good]
    assert [refused.record for refused in found.refused] == bad
    assert all(refused.reason for refused in found.refused)


def test_a_refused_record_is_kept_whole_with_the_reason() -> None:
    verdict = an_accepted_event(event_id="order-17", session_id="s9")

    found = fields(refused_row(Refused(a_verdict_record(verdict), "no such luck")).copied)

    assert found[0] == copy.uuid(row_id("shop", "order-17"))
    assert found[2] == copy.text("s9")
    assert found[7] == copy.text_array(["bad_value"])
    assert found[8] == copy.jsonb(b'[{"code":"bad_value","path":"$","message":"no such luck"}]')
    assert found[9] == copy.text((a_verdict_record(verdict).value or b"").decode())


@given(value=st.binary(), key=st.none() | st.binary(), header=st.binary(), reason=st.text(st.characters(codec=None)))
def test_any_record_can_be_set_aside(value: bytes, key: bytes | None, header: bytes, reason: str) -> None:
    names = ("event_id", "application", "received_at", "category", "name", "source")
    record = a_record(value, key=key, headers=[(name, header) for name in names])

    row = refused_row(Refused(record, reason))

    texts = [field[4:] for index, field in enumerate(fields(row.copied)) if index in (1, 2, 3, 4, 9, 14)]
    assert not any(b"\0" in text for text in texts)
    assert all(text.decode() is not None for text in texts)
