"""A stored position held against what its partition still has."""

from __future__ import annotations

import logging

import pytest

from stream.runner.positions import PositionLost, clamp_position


@pytest.mark.parametrize(
    ("position", "bounds", "expected"),
    [(None, (0, 0), 0), (None, (5, 9), 5), (5, (5, 9), 5), (7, (5, 9), 7), (9, (5, 9), 9), (0, (0, 0), 0)],
)
def test_a_position_within_the_partition_is_gone_on_from(
    position: int | None, bounds: tuple[int, int], expected: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert clamp_position("here", position, bounds) == expected
    assert caplog.records == []


def test_what_has_expired_is_left_out_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert clamp_position("eye-stream at events.raw:3", 2, (5, 9)) == 5

    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == "eye-stream at events.raw:3: offsets 2 to 4 have expired unread"


def test_a_position_beyond_the_end_is_refused_with_what_to_do() -> None:
    with pytest.raises(PositionLost, match=r"^here: the position is 10, but the partition ends at 9; .* reset$"):
        clamp_position("here", 10, (5, 9))
