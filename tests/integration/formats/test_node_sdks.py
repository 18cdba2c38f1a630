"""The vendors' SDKs for Node, unchanged: every event that they send is once a row or a rejected event."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.ingest.formats.segment import SPEC
from tests.integration.formats.conftest import NODE
from tests.integration.formats.delivery import EVENTS, LONGEST, Senders, categories, deliver, fresh_ids, row

pytestmark = pytest.mark.timeout(2 * LONGEST)


@pytest.mark.parametrize(
    ("sdk", "prefix", "expected"),
    [("segment", "node-next-", SPEC), ("rudder", "node-", SPEC), ("posthog", "", ("event",))],
)
async def test_each_event_is_stored_once(
    node: str, senders: Senders, tmp_path: Path, sdk: str, prefix: str, expected: tuple[str, ...]
) -> None:
    ids = fresh_ids(prefix)

    stored = await deliver(senders, [node, str(NODE / "send.mjs"), sdk], ids, tmp_path)

    assert sum(stored.values()) == EVENTS
    found = await row(senders, ids[0])
    assert (found["category"], found["name"], found["user_id"]) == (expected[0], "Order Completed", "user-0")
    assert found["data"]["number"] == 0
    assert await categories(senders, ids) == set(expected)
