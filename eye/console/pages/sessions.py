"""Sessions: find one by its id, its time or its state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from nicegui import ui

from eye.console.desk import Desk
from eye.console.frame import add_page, attempt
from eye.console.texts import table, when
from eye.console.visitors import Visitor

_COLUMNS = {
    "session_id": "session",
    "started": "first event",
    "ended": "last event",
    "events": "events",
    "rejected": "rejected",
    "applications": "applications",
    "status": "state",
}


def add(desk: Desk) -> None:
    """Add the page."""
    add_page(desk, "/sessions", "Sessions", _build)


async def _build(desk: Desk, visitor: Visitor, _: Mapping[str, str]) -> None:
    following: dict[str, str | None] = {"cursor": None}

    def open_session() -> None:
        if session_id.value:
            ui.navigate.to(f"/session?id={quote(session_id.value, safe='')}")

    with ui.element("div").classes("eye-row"):
        session_id = ui.input("Session id").on("keydown.enter", open_session)
        ui.button("Open", on_click=open_session)
    with ui.element("div").classes("eye-row"):
        begin = ui.input("From (UTC)", placeholder="2026-01-31T00:00")
        end = ui.input("To (UTC)", placeholder="2026-02-01T00:00")
        state = ui.select(["any", "open", "closed"], value="any", label="State")
        ui.button("Search", on_click=lambda: attempt(desk, visitor, search))
    shown = table(_COLUMNS, [], {"session_id": "/session?id="})
    more = ui.button("Older ones", on_click=lambda: attempt(desk, visitor, read))

    async def search() -> None:
        following["cursor"] = None
        shown.rows = []
        await read()

    async def read() -> None:
        terms = {"from": begin.value, "to": end.value, "status": "" if state.value == "any" else state.value}
        found = await desk.gateway.get(
            visitor.key, "/sessions", order="desc", limit=100, cursor=following["cursor"], **terms
        )
        first = len(shown.rows)
        shown.rows = [*shown.rows, *({"#": first + n, **_row(one)} for n, one in enumerate(found["sessions"]))]
        following["cursor"] = found["next"]
        more.set_visibility(found["next"] is not None)

    await read()


def _row(session: Mapping[str, Any]) -> dict[str, str | int]:
    return {
        "session_id": session["session_id"],
        "started": when(session["started_at"]),
        "ended": when(session["ended_at"]),
        "events": session["event_count"],
        "rejected": session["rejected_count"],
        "applications": ", ".join(session["applications"]),
        "status": session["status"],
    }
