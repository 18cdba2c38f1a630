"""Timestamps: what is read as which moment, and what is refused with a sentence."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.timestamp import parse_timestamp

MOMENT = datetime(2021, 1, 1, 9, 15, 27, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2021-01-01 09:15:27.243860", MOMENT.replace(microsecond=243860)),
        ("2021-01-01T09:15:27.243860", MOMENT.replace(microsecond=243860)),
        ("2021-01-01 09:15:27", MOMENT),
        ("2021-01-01T09:15:27Z", MOMENT),
        ("2021-01-01t09:15:27z", MOMENT),
        ("2021-01-01 09:15:27Z", MOMENT),
        ("2021-01-01T09:15:27+00:00", MOMENT),
        ("2021-01-01T09:15:27-00:00", MOMENT),
        ("2021-01-01T11:15:27+02:00", MOMENT),
        ("2021-01-01 11:15:27+02:00", MOMENT),
        ("2021-01-01T11:15:27+0200", MOMENT),
        ("2021-01-01T11:15:27+02", MOMENT),
        ("2020-12-31T22:00:27-11:15", MOMENT),
        ("2021-01-01T09:15:27.2", MOMENT.replace(microsecond=200000)),
        ("2021-01-01T09:15:27.243Z", MOMENT.replace(microsecond=243000)),
        ("2021-01-01T09:15:27.243860100Z", MOMENT.replace(microsecond=243860)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2026-06-30 23:59:60.5", datetime(2026, 7, 1, 0, 0, 0, 500000, tzinfo=UTC)),
        ("2026-01-02T24:00:00Z", datetime(2026, 1, 3, tzinfo=UTC)),
        ("2026-01-02T24:00+01:00", datetime(2026, 1, 2, 23, tzinfo=UTC)),
        ("2021-01-01T09:15:27,243860", MOMENT.replace(microsecond=243860)),
        ("2021-01-01T09:15", MOMENT.replace(second=0)),
        ("20210101T091527Z", MOMENT),
        ("2020-W53-5T09:15:27", MOMENT),
        ("2024-02-29T00:00:00Z", datetime(2024, 2, 29, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime.min.replace(tzinfo=UTC)),
        ("9999-12-31T23:59:59.999999Z", datetime.max.replace(tzinfo=UTC)),
    ],
)
def test_an_iso_8601_date_and_time_is_read_as_utc(text: str, moment: datetime) -> None:
    parsed = parse_timestamp(text)

    assert (parsed, parsed.utcoffset()) == (moment, timedelta(0))


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "now", "yesterday", "1609492527", "1609492527243", "2021-01-01", "20210101", "09:15:27", "2021-01-01T",
        "2021-01-01_09:15:27", "2021-01-01  09:15:27", "2021-1-1T9:15:27", "2021-02-30T00:00:00Z",
        "2021-13-01T00:00:00Z", "2021-01-01T09:60:00Z", "2021-01-01T25:00:00Z", "2021-01-01T09:15:61Z",
        "2021-01-01T24:00:01Z", "2021-01-01T24:30:00Z", "9999-12-31T24:00:00Z",
        "2021-01-01T09:15:27+24:00",
        "2021-01-01T09:15:27[Europe/Berlin]", "2021-01-01T09:15:27 CET", "Fri, 01 Jan 2021 09:15:27 GMT",
        "0000-01-01T00:00:00Z", "12021-01-01T00:00:00Z", "-2021-01-01T00:00:00Z", "２０２１-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", '"2021-01-01T09:15:27Z"', "P1D", "null",
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        parse_timestamp(text)


@settings(max_examples=50, deadline=None)
@given(
    st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)),
    st.none() | st.integers(-14 * 60, 14 * 60),
    st.sampled_from("T "),
)
def test_what_libraries_write_is_read_as_it_was_meant(moment: datetime, offset: int | None, separator: str) -> None:
    written = moment if offset is None else moment.replace(tzinfo=timezone(timedelta(minutes=offset)))

    assert parse_timestamp(written.isoformat(separator)) == (written if written.tzinfo else written.replace(tzinfo=UTC))


@settings(max_examples=50, deadline=None)
@given(st.text("0123456789-:T. Z+W,/\0é", max_size=35) | st.text(st.characters(codec=None), max_size=20))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    try:
        parsed = parse_timestamp(text)
    except ValueError as error:
        assert str(error)
    else:
        assert parsed.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2026-01-02T03:04:05[Europe/Paris]", '"2026-01-02T03:04:05[Europe/Paris]" is not an ISO 8601 date and time'),
        ("2026-01-02T25:04:05", '"2026-01-02T25:04:05" has hour 25: hours go from 0 to 23'),
        ("2026-01-02T03:04:05+24:00", '"2026-01-02T03:04:05+24:00" has the offset +24:00: offsets go from'),
        ("2026-02-30T03:04:05", '"2026-02-30T03:04:05" has a date that no calendar has'),
    ],
)
def test_a_refusal_shows_the_text_as_it_was_sent(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_timestamp(text)
