"""The garbage collector: the request path leaves it nothing to do, and its work is counted."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway import garbage_collection
from gateway.garbage_collection import THRESHOLDS, tune
from gateway.metrics import Metrics
from tests.unit.gateway.connections.test_fast_path_cost import post

__all__ = ["post"]

POSTS = 200


@pytest.fixture
def collector() -> Iterator[None]:
    """Leave the collector as it was."""
    thresholds, callbacks = gc.get_threshold(), list(gc.callbacks)
    yield
    gc.set_threshold(*thresholds)
    gc.callbacks[:] = callbacks
    gc.unfreeze()
    gc.set_debug(0)
    gc.garbage.clear()


async def test_an_accepted_post_makes_no_reference_cycle(
    collector: None,
    post: Callable[[], Any],
) -> None:
    await post()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for _ in range(POSTS):
            await post()
        gc.collect()
    finally:
        gc.enable()
        gc.set_debug(0)

    # a few may be of the test's own; a cycle of the path would be there once a request
    assert len(gc.garbage) < POSTS, {type(found).__qualname__ for found in gc.garbage}


def test_collections_are_counted_and_what_stands_is_frozen(collector: None) -> None:
    metrics = Metrics()

    tune(metrics)
    gc.collect()

    sample = metrics.registry.get_sample_value
    assert sample("eye_gateway_gc_collections_total", {"generation": "2"}) == 1
    assert (sample("eye_gateway_gc_seconds_total", {"generation": "2"}) or 0) > 0
    assert gc.get_threshold() == THRESHOLDS == garbage_collection.THRESHOLDS
    assert gc.get_freeze_count() > 0
