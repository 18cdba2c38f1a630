"""Rate limits: the mean rate holds, a burst gets through, and the wait that is told is the wait that is needed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.access.api_keys import Limit
from gateway.access.rate_limits import Rates
from gateway.problems import RateLimited

SHOP = Limit("application shop", rate=10, burst=20)


class Clock:
    """Time that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rates(clock: Clock) -> Rates:
    return Rates(clock)


def refused(rates: Rates, limits: list[Limit], events: int) -> RateLimited:
    with pytest.raises(RateLimited) as caught:
        rates.take(limits, events)
    return caught.value


def test_a_burst_gets_through_and_what_follows_waits(rates: Rates, clock: Clock) -> None:
    rates.take([SHOP], 20)

    problem = refused(rates, [SHOP], 15)

    assert (problem.status, problem.code, problem.headers["Retry-After"]) == (429, "rate_limited", "2")
    assert "application shop" in problem.detail
    clock.now += 1.5
    rates.take([SHOP], 15)


def test_a_refused_request_takes_nothing(rates: Rates, clock: Clock) -> None:
    rates.take([SHOP], 15)
    for _ in range(5):
        refused(rates, [SHOP], 10)

    rates.take([SHOP], 5)


def test_a_request_above_the_burst_takes_a_full_bucket_and_a_debt(rates: Rates, clock: Clock) -> None:
    rates.take([SHOP], 100)

    assert refused(rates, [SHOP], 1).headers["Retry-After"] == "9"
    clock.now += 8
    with pytest.raises(RateLimited):
        rates.check([SHOP])
    clock.now += 0.1
    rates.check([SHOP])
    assert refused(rates, [SHOP], 100).headers["Retry-After"] == "2"


def test_a_key_is_held_to_its_own_limit_and_to_the_applications(rates: Rates) -> None:
    till, web = Limit("key aaaa", rate=1, burst=5), Limit("key bbbb", rate=1000, burst=1000)

    rates.take([SHOP, till], 5)
    assert "key aaaa" in refused(rates, [SHOP, till], 1).detail
    rates.take([SHOP, web], 15)
    assert "application shop" in refused(rates, [SHOP, web], 1).detail


def test_a_changed_limit_holds_at_once(rates: Rates, clock: Clock) -> None:
    rates.take([SHOP], 1)

    smaller = Limit(SHOP.name, rate=1, burst=2)
    refused_at = refused(rates, [Limit(SHOP.name, rate=1, burst=1000)], 500)
    rates.take([smaller], 2)

    assert int(refused_at.headers["Retry-After"]) == 481
    assert refused(rates, [smaller], 1).headers["Retry-After"] == "1"


@given(
    st.lists(st.tuples(st.floats(0, 5), st.integers(1, 60)), max_size=60),
    st.floats(0.1, 100),
    st.integers(1, 50),
)
def test_never_more_than_rate_and_burst_and_the_last_request(
    requests: list[tuple[float, int]], rate: float, burst: int
) -> None:
    clock = Clock()
    rates, limit = Rates(clock), Limit("x", rate, burst)
    taken, last = 0, 0

    for pause, events in requests:
        clock.now += pause
        try:
            rates.take([limit], events)
        except RateLimited as problem:
            seconds = int(problem.headers["Retry-After"])
            clock.now += seconds
            rates.take([limit], events)  # what is told to wait for is enough
        taken, last = taken + events, events

    assert taken - last <= burst + rate * (clock.now - 100) + 1e-6
