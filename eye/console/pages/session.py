"""One session: its summary, and its events in order, the rejected ones in their place."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from nicegui import ui

from eye.console.desk import Desk
from eye.console.frame import add_page
from eye.console.texts import duration, pretty, table, text_block, when
from eye.console.visitors import Visitor
from schemas.timestamp import parse_timestamp

MOST_EVENTS = 1_000
"""Most events of a session that its page shows, and most rejected ones."""

_COLUMNS = {
    "time": "time",
    "gap": "after",
    "application": "application",
    "type": "event type",
    "verdict": "verdict",
    "event_id": "event",
    "data": "payload, or violations",
}


@dataclass(frozen=True, slots=True)
class _Step:
    """An event of the timeline, accepted or rejected, at the time it occurred, as far as that can be read."""

    at: datetime
    accepted: bool
    application: str
    event_type: str
    event_id: str
    text: str


def add(desk: Desk) -> None:
    """Add the page."""
    add_page(desk, "/session", "Session", _build)


async def _build(desk: Desk, visitor: Visitor, parameters: Mapping[str, str]) -> None:
    session_id = parameters.get("id", "")
    ui.link("All sessions", "/sessions")
    ui.label(session_id).style("font-size: 1.2rem; overflow-wrap: anywhere")
    address = f"/sessions/{quote(session_id, safe='')}"
    summary = await desk.gateway.get(visitor.key, address)
    events = await desk.gateway.get(visitor.key, f"{address}/events", limit=MOST_EVENTS)
    rejected = await desk.gateway.get(visitor.key, "/errors", session_id=session_id, limit=MOST_EVENTS)
    _summary(summary)
    steps = sorted([*map(_stored, events["events"]), *map(_rejected, rejected["errors"])], key=lambda step: step.at)
    if events["next"] or rejected["next"]:
        ui.label(f"Of events, and of rejected ones, only the first {MOST_EVENTS:,} are shown.").classes("eye-bad")
    ui.echart(_picture(steps)).classes("eye-plot")
    rows = _rows(steps, desk.settings.session_gap_seconds)
    table(_COLUMNS, rows, {"event_id": "/trace?id="}, per_page=100).props('title="Timeline"')


def _summary(summary: Mapping[str, Any]) -> None:
    counts = summary["counts_by_type"]
    said = {
        "state": summary["status"],
        "first event": when(summary["started_at"]),
        "last event": when(summary["ended_at"]),
        "events": f"{summary['event_count']:,}",
        "rejected": f"{summary['rejected_count']:,}",
        "applications": ", ".join(summary["applications"]),
        "revision": str(summary["revision"]),
    }
    with ui.element("div").classes("eye-tiles"):
        for title, text in said.items():
            with ui.element("div").classes("eye-tile"):
                ui.label(title)
                ui.label(text or "-").style("overflow-wrap: anywhere")
    with ui.expansion("Events by type").classes("eye-wide"):
        text_block(pretty(counts))


def _stored(event: Mapping[str, Any]) -> _Step:
    return _Step(
        datetime.fromisoformat(event["occurred_at"]),
        True,
        event["application"],
        f"{event['category']} / {event['name']}",
        event["event_id"],
        json.dumps(event["data"], ensure_ascii=False),
    )


def _rejected(event: Mapping[str, Any]) -> _Step:
    """Place a rejected event where its own timestamp puts it, else where it was received."""
    at = datetime.fromisoformat(event["received_at"])
    with suppress(ValueError):
        at = parse_timestamp(event["timestamp"] or "")
    said = [f"{error['code']} at {error['path']}: {error['message']}" for error in event["errors"]]
    kind = f"{event['category'] or '?'} / {event['name'] or '?'}"
    return _Step(at, False, event["application"], kind, event["event_id"], "\n".join(said))


def _rows(steps: Sequence[_Step], gap: float) -> list[dict[str, str]]:
    rows, before = [], None
    for step in steps:
        since = 0.0 if before is None else (step.at - before).total_seconds()
        rows.append(
            {
                "time": when(step.at),
                "gap": ("" if before is None else duration(since)) + (", a gap" if since > gap else ""),
                "application": step.application,
                "type": step.event_type,
                "verdict": "accepted" if step.accepted else "REJECTED",
                "event_id": step.event_id,
                "data": step.text,
            }
        )
        before = step.at
    return rows


def _picture(steps: Sequence[_Step]) -> dict[str, Any]:
    """Draw the applications' events along the time, the rejected ones in red."""
    series = [
        {
            "name": "accepted" if accepted else "rejected",
            "type": "scatter",
            "symbol": "circle" if accepted else "triangle",
            "symbolSize": 9 if accepted else 13,
            "itemStyle": {"color": "#3b82c4" if accepted else "#d32f2f"},
            "data": [[s.at.timestamp() * 1000, s.application] for s in steps if s.accepted is accepted],
        }
        for accepted in (True, False)
    ]
    return {
        "legend": {"top": 0, "textStyle": {"color": "#888"}},
        "grid": {"left": 16, "right": 24, "top": 36, "bottom": 28, "containLabel": True},
        "useUTC": True,
        "animation": False,
        "xAxis": {"type": "time"},
        "yAxis": {"type": "category", "data": list(dict.fromkeys(step.application for step in steps))},
        "dataZoom": [{"type": "inside"}],
        "series": series,
    }
