"""Requests of other senders, taken apart for the formats' pure functions."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

from gateway.ingest.event_reader import Item
from gateway.ingest.formats.format import Batch, Limits, RequestParts
from schemas.judge import judge
from schemas.record import to_millis
from schemas.rules import Rules
from schemas.verdict import Verdict
from tests.support.builders import RECEIVED, a_raw_record, the_rules

RULES = the_rules(unknown_event_types="accept")
MOMENT = "2021-01-01T09:15:27.243860Z"


def the_parts(
    body: Any,
    path: str = "/v1/batch",
    *,
    query: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    max_event_bytes: int = 65536,
) -> RequestParts:
    """Return a request of bytes, or of anything else as JSON, received at `RECEIVED`; it makes ids `id-1`, `id-2`."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    numbers = count(1)
    limits = Limits(5000, max_event_bytes)
    return RequestParts(
        path, query or {}, headers or {}, sent, to_millis(RECEIVED), limits, lambda: f"id-{next(numbers)}"
    )


def mapped(batch: Batch) -> list[dict[str, Any]]:
    """Return the events of a batch as our JSON; each of them is `ok`."""
    items = batch.items()
    assert [item.errors for item in items] == [[]] * len(items)
    return [json.loads(item.value) for item in items]


def verdict(item: Item, rules: Rules = RULES) -> Verdict:
    """Return the stream's verdict on an event of a batch."""
    return judge(a_raw_record(value=item.value, key=(item.session_id or "").encode()), rules)
