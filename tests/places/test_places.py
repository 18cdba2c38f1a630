"""The first command in the places that cost little; `make places` visits all of them."""

from __future__ import annotations

import os

import pytest

from tests.places.place import Place, verify, visit
from tests.places.places import PLACES

SHORT = ("all-at-once", "ordinary-user", "java-11", "no-python", "no-venv")

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(400),
    pytest.mark.skipif(os.getuid() != 0, reason="needs root: it makes users and mounts"),
]


@pytest.mark.parametrize("place", [p for p in PLACES if p.name in SHORT], ids=lambda place: place.name)
def test_the_first_command_works_or_says_what_to_do(place: Place) -> None:
    outcome = visit(place)

    assert verify(place, outcome) == [], outcome.output[-3000:]
