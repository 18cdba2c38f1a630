"""Identifiers: in the order of their time, the same for the same event."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import row_id, source_id, uuid7

ID = "01890a5d-ac96-774b-bcce-b302099a8057"


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_a_uuid7_has_its_version_its_variant_and_its_time(millis: int, random: bytes) -> None:
    made = uuid.UUID(uuid7(millis, random))

    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == millis


def test_a_uuid7_of_the_standards_example_is_the_standards() -> None:
    made = uuid7(0x017F22E279B0, bytes.fromhex("0cc3" + "18c4dc0c0c07398f"))

    assert made == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


def test_later_ids_sort_behind_earlier_ones() -> None:
    made = [uuid7(millis, bytes(10 * [255 - millis])) for millis in range(200)]

    assert sorted(made) == made


def test_ids_of_one_millisecond_differ_by_their_randomness() -> None:
    assert uuid7(1, bytes(10)) != uuid7(1, bytes(9) + b"\x01")


def test_a_uuid_is_its_own_row_id_whoever_sent_it() -> None:
    assert row_id("shop", ID) == row_id("blog", ID.upper()) == uuid.UUID(ID)


@pytest.mark.parametrize(
    "event_id", ["order-17", ID.replace("-", ""), f"{{{ID}}}", f"urn:uuid:{ID}", f"{ID}\n", "", "é"]
)
def test_any_other_id_makes_a_uuid_of_application_and_id(event_id: str) -> None:
    made = row_id("shop", event_id)

    assert made.version == 5
    assert made == row_id("shop", event_id)
    assert made != row_id("blog", event_id)
    assert made != row_id("shop", event_id + "x")


def test_application_and_id_are_not_run_together() -> None:
    assert row_id("a", "b-c") != row_id("a-b", "c")


def test_a_place_makes_the_same_id_each_time() -> None:
    assert source_id("events.raw:0:1") == source_id("events.raw:0:1") != source_id("events.raw:0:11")
    assert uuid.UUID(source_id("events.raw:0:1")).version == 5
