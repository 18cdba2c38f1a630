"""Trace: the steps of an event, each with its time, and the event itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from nicegui import ui

from eye.console.desk import Desk
from eye.console.frame import add_page, attempt
from eye.console.gateway_reads import ReadError
from eye.console.texts import duration, pretty, table, text_block, when
from eye.console.visitors import Visitor

_COLUMNS = {"step": "step", "where": "where", "time": "time", "after": "after the first"}


def add(desk: Desk) -> None:
    """Add the page."""
    add_page(desk, "/trace", "Trace of an event", _build)


async def _build(desk: Desk, visitor: Visitor, parameters: Mapping[str, str]) -> None:
    given = parameters.get("id", "")

    def follow() -> None:
        if event_id.value:
            ui.navigate.to(f"/trace?id={quote(event_id.value, safe='')}")

    with ui.element("div").classes("eye-row"):
        event_id = ui.input("Event id", value=given).on("keydown.enter", follow).style("flex: 1 1 16rem")
        ui.button("Trace", on_click=follow)
    if given:
        shown = ui.element("div").classes("eye-wide")
        await attempt(desk, visitor, lambda: _show(desk, visitor, given, shown))


async def _show(desk: Desk, visitor: Visitor, event_id: str, shown: ui.element) -> None:
    address = f"/events/{quote(event_id, safe='')}"
    found = await desk.gateway.get(visitor.key, f"{address}/trace")
    with shown:
        for one in found["traces"]:
            ui.label(f"{one['event_id']} of {one['application']}: {one['status']}").classes("eye-text")
            table(_COLUMNS, _steps(one))
            if one.get("trace_id"):
                ui.label(f"W3C trace {one['trace_id']}").classes("eye-text")
        if not found["complete"]:
            ui.label("There was more to read in Kafka than allowed: not everything was looked at.").classes("eye-bad")
    try:
        event = await desk.gateway.get(visitor.key, address)
    except ReadError as error:
        if error.status != 404:
            raise
        return
    with shown:
        ui.link(f"Session {event['session_id']}", f"/session?id={quote(event['session_id'] or '', safe='')}")
        text_block(pretty(event))


def _steps(trace: Mapping[str, Any]) -> list[dict[str, str]]:
    verdict = ", ".join([trace["verdict"] or "none yet", *trace["codes"]])
    row = trace["row"]
    steps = [
        ("received by the gateway", "", trace["received_at"]),
        ("raw record", *_record(trace["raw"])),
        (f"verdict: {verdict}", *_record(trace["judged"])),
        ("row", f"eye.{row['table']} {row['id']}" if row else "none yet", row["stored_at"] if row else None),
    ]
    first = trace["received_at"]
    return [
        {"step": step, "where": where, "time": when(time), "after": _after(first, time)} for step, where, time in steps
    ]


def _record(place: Mapping[str, Any] | None) -> tuple[str, str | None]:
    return (f"{place['topic']}:{place['partition']}:{place['offset']}", place["written_at"]) if place else ("", None)


def _after(first: str | None, time: str | None) -> str:
    if not first or not time:
        return ""
    return duration((datetime.fromisoformat(time) - datetime.fromisoformat(first)).total_seconds())
