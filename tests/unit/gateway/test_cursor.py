"""Cursors: they lead back to where they were made, and nowhere else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.problems import BadRequest, ProblemCode
from gateway.query.cursor import Place, decode_cursor, encode_cursor

PLACE = Place(datetime(2021, 1, 1, 9, 15, 27, 243860, UTC), "6fced11d-2bd8-41e6-847a-8387cdde8d51", "shop")


@pytest.mark.parametrize("place", [PLACE, Place(datetime(1, 1, 1, tzinfo=UTC), "a session: ü 😀")])
def test_a_cursor_is_the_place_it_was_made_of(place: Place) -> None:
    assert decode_cursor("events", encode_cursor("events", place)) == place


def test_a_cursor_is_good_for_its_own_listing_alone() -> None:
    with pytest.raises(BadRequest) as refused:
        decode_cursor("errors", encode_cursor("events", PLACE))

    assert refused.value.code is ProblemCode.BAD_PARAMETER


@pytest.mark.parametrize("cursor", ["", "x", "ü", "=", "AAAA", "Zm9vYmFy", "a b", "\0"])
def test_any_other_text_is_refused(cursor: str) -> None:
    with pytest.raises(BadRequest):
        decode_cursor("events", cursor)


def test_a_cursor_with_any_character_changed_is_refused() -> None:
    cursor = encode_cursor("events", PLACE)

    for index, character in enumerate(cursor[:-1]):
        changed = cursor[:index] + ("A" if character != "A" else "B") + cursor[index + 1 :]
        with pytest.raises(BadRequest):
            decode_cursor("events", changed)
