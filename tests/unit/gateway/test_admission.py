"""Admission: the key, the bounds, and the drain, the same for both ways that a request can take."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from eye.operations.keys import add_key
from gateway.access.api_keys import KeyRing, Scope
from gateway.admission.admission import EVENT_BYTES, Admission
from gateway.metrics import Metrics
from gateway.problems import Forbidden, Overloaded, RateLimited, Unauthorized

WRITE = frozenset({Scope.WRITE})


class Office:
    """An admission with the key of one application; `headers` carry it."""

    def __init__(self, directory: Path, *, max_requests: int = 2, max_bytes: int = 100_000, rate: str = "") -> None:
        file = directory / "applications.toml"
        self.headers = {"X-API-Key": add_key(file, "shop", ["write"])}
        file.write_text(file.read_text().replace('id = "shop"', f'id = "shop"\n{rate}'))
        self.metrics = Metrics()
        self.admission = Admission(KeyRing(file), self.metrics, max_requests=max_requests, max_bytes=max_bytes)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def test_a_request_needs_a_known_key_with_a_scope(office: Office) -> None:
    with pytest.raises(Unauthorized):
        office.admission.admit({}, WRITE)
    with pytest.raises(Forbidden, match="read"):
        office.admission.admit(office.headers, frozenset({Scope.READ}))

    assert office.admission.admit(office.headers, frozenset()).grant.application == "shop"
    assert office.admission.requests == 1


def test_beyond_the_bound_none_is_admitted_until_one_is_closed(office: Office) -> None:
    first = office.admission.admit(office.headers, WRITE)
    office.admission.admit(office.headers, WRITE)
    with pytest.raises(Overloaded):
        office.admission.admit(office.headers, WRITE)

    office.admission.close(first)

    assert office.admission.admit(office.headers, WRITE).bytes == 0


def test_bytes_and_events_are_charged_and_freed_together(office: Office) -> None:
    permit = office.admission.admit(office.headers, WRITE)

    office.admission.charge(permit, 1_000)
    office.admission.charge(permit, 0, events=3)

    assert permit.bytes == office.admission.bytes == 1_000 + 3 * EVENT_BYTES
    office.admission.close(permit)
    assert (office.admission.bytes, office.admission.requests) == (0, 0)


def test_a_request_alone_may_hold_more_than_the_bound(office: Office) -> None:
    alone = office.admission.admit(office.headers, WRITE)
    office.admission.charge(alone, 1_000_000)
    other = office.admission.admit(office.headers, WRITE)

    with pytest.raises(Overloaded):
        office.admission.charge(other, 1)
    office.admission.close(alone)
    office.admission.charge(other, 1)


def test_a_rate_limit_is_checked_and_then_charged(tmp_path: Path) -> None:
    limited = Office(tmp_path, rate="rate = 0.001\nburst = 2")
    permit = limited.admission.admit(limited.headers, WRITE)
    limited.admission.check_rate(permit)
    limited.admission.charge(permit, 0, events=2)

    with pytest.raises(RateLimited):
        limited.admission.check_rate(permit)
    with pytest.raises(RateLimited):
        limited.admission.charge(permit, 0, events=1)


async def test_a_drain_waits_for_both_ways_of_a_request(office: Office) -> None:
    permit = office.admission.admit(office.headers, WRITE)
    office.admission.enter()
    draining = asyncio.create_task(office.admission.drain(60))
    await asyncio.sleep(0)

    office.admission.close(permit)
    await asyncio.sleep(0)
    assert not draining.done()
    office.admission.leave()

    async with asyncio.timeout(60):
        await draining


async def test_a_drain_ends_in_time_whatever_is_under_way(office: Office) -> None:
    office.admission.enter()

    async with asyncio.timeout(60):
        await office.admission.drain(0.01)


def test_a_sender_without_a_key_yet_has_a_small_share(tmp_path: Path) -> None:
    admission = Office(tmp_path, max_requests=8).admission
    strangers = [admission.admit_unknown() for _ in range(2)]
    with pytest.raises(Overloaded):
        admission.admit_unknown()

    admission.charge(strangers[0], 20_000)
    with pytest.raises(Overloaded):
        admission.charge(strangers[1], 10_000)
    admission.close(strangers[1])

    admission.charge(admission.admit_unknown(), 5_000)


def test_a_sender_that_is_identified_has_the_share_of_all(tmp_path: Path) -> None:
    office = Office(tmp_path, max_requests=8)
    stranger = office.admission.admit_unknown()
    office.admission.charge(stranger, 20_000)
    with pytest.raises(Unauthorized):
        office.admission.identify(stranger, {}, WRITE)

    office.admission.identify(stranger, office.headers, WRITE)

    assert stranger.grant.application == "shop"
    office.admission.charge(office.admission.admit_unknown(), 20_000)
    office.admission.close(stranger)
    assert office.admission.bytes == 20_000
