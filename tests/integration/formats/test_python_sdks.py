"""The vendors' SDKs for Python, unchanged: every event that they send is once a row or a rejected event."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gateway.ingest.formats.segment import SPEC
from tests.integration.formats.delivery import EVENTS, LONGEST, Senders, categories, deliver, fresh_ids, row

pytestmark = pytest.mark.timeout(2 * LONGEST)
PROGRAM = [sys.executable, "-m", "tests.integration.formats.senders"]


@pytest.mark.parametrize("sdk", ["segment", "rudder"])
async def test_each_call_of_the_spec_is_stored_once(senders: Senders, tmp_path: Path, sdk: str) -> None:
    ids = fresh_ids("message-")

    stored = await deliver(senders, [*PROGRAM, sdk], ids, tmp_path)

    assert stored == {"row": EVENTS * 7 // 10, "rejected": EVENTS * 3 // 10}
    found = await row(senders, ids[0])
    assert (found["category"], found["name"], found["user_id"]) == ("track", "Order Completed", "user-0")
    assert (found["session_id"], found["data"]) == ("user-0", {"number": 0, "value": "plain"})
    assert found["context"]["original"]["messageId"] == ids[0]
    assert await categories(senders, ids) == set(SPEC)


@pytest.mark.parametrize("sdk", ["posthog", "posthog-v1"])
async def test_each_capture_is_stored_once(senders: Senders, tmp_path: Path, sdk: str) -> None:
    ids = fresh_ids()

    stored = await deliver(senders, [*PROGRAM, sdk], ids, tmp_path)

    assert sum(stored.values()) == EVENTS
    found = await row(senders, ids[0])
    assert (found["category"], found["name"], found["user_id"]) == ("event", "Order Completed", "user-0")
    assert found["data"]["number"] == 0
