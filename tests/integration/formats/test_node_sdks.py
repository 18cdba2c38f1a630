"""The vendors' SDKs for Node, unchanged: every event that they send is once a row or a rejected event."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.formats.conftest import NODE
from tests.integration.formats.delivery import EVENTS, LONGEST, Senders, deliver, fresh_ids, row

pytestmark = pytest.mark.timeout(2 * LONGEST)


@pytest.mark.parametrize(
    ("sdk", "prefix", "category"),
    [("segment", "node-next-", "track"), ("rudder", "node-", "track"), ("posthog", "", "event")],
)
async def test_each_event_is_stored_once(
    senders: Senders, node: str, tmp_path: Path, sdk: str, prefix: str, category: str
) -> None:
    ids = fresh_ids(prefix)

    stored = await deliver(senders, [node, str(NODE / "send.mjs"), sdk], ids, tmp_path)

    assert sum(stored.values()) == EVENTS
    found = await row(senders, ids[0])
    assert (found["category"], found["name"], found["user_id"]) == (category, "Order Completed", "user-0")
    assert found["data"]["number"] == 0
