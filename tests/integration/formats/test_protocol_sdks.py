"""The SDKs of Snowplow, CloudEvents and OpenTelemetry, unchanged: each event is once a row or a rejected event."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.integration.formats.conftest import NODE
from tests.integration.formats.delivery import EVENTS, LONGEST, Senders, deliver, fresh_ids, row, sent_ids

pytestmark = pytest.mark.timeout(2 * LONGEST)
PROGRAM = [sys.executable, "-m", "tests.integration.formats.protocol_senders"]
SNOWPLOW = ("com.acme.shop", "order_completed")
OTHERS = ("com.acme.shop", "ordered")


@pytest.mark.parametrize(
    ("sdk", "event_type", "rejected"),
    [("snowplow", SNOWPLOW, 3), ("snowplow-get", SNOWPLOW, 2), ("cloudevents", OTHERS, 3), ("otlp", OTHERS, 2)],
)
async def test_a_python_sdk_delivers_each_event_once(
    senders: Senders, tmp_path: Path, sdk: str, event_type: tuple[str, str], rejected: int
) -> None:
    stored = await deliver(senders, [*PROGRAM, sdk], fresh_ids(), tmp_path)

    assert stored == {"row": EVENTS * (10 - rejected) // 10, "rejected": EVENTS * rejected // 10}
    found = await row(senders, sent_ids(tmp_path)[0])
    assert (found["category"], found["name"], found["user_id"]) == (*event_type, "user-0")
    assert (found["session_id"], found["data"]) == ("user-0-session", {"number": 0, "value": "plain"})


@pytest.mark.parametrize(
    ("sdk", "event_type", "rejected"), [("snowplow", SNOWPLOW, 2), ("cloudevents", OTHERS, 2), ("otlp", OTHERS, 2)]
)
async def test_a_node_sdk_delivers_each_event_once(
    node: str, senders: Senders, tmp_path: Path, sdk: str, event_type: tuple[str, str], rejected: int
) -> None:
    stored = await deliver(senders, [node, str(NODE / "send_by_protocol.mjs"), sdk], fresh_ids(), tmp_path)

    assert stored == {"row": EVENTS * (10 - rejected) // 10, "rejected": EVENTS * rejected // 10}
    found = await row(senders, sent_ids(tmp_path)[0])
    assert (found["category"], found["name"], found["user_id"]) == (*event_type, "user-0")
    assert (found["session_id"], found["data"]) == ("user-0-session", {"number": 0, "value": "plain"})
