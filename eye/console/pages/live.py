"""Live: events as they are judged, and why one was rejected."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Mapping
from typing import Any

from nicegui import background_tasks, ui

from eye.console.desk import Desk
from eye.console.frame import add_page
from eye.console.texts import pretty, table, text_block, when
from eye.console.verdicts import KEPT, LiveVerdicts, Verdict
from eye.console.violations_view import annotated
from eye.console.visitors import Visitor

_REFRESH_SECONDS = 0.5
_MOST_CHARACTERS = 200
_COLUMNS = {
    "received": "received",
    "verdict": "verdict",
    "application": "application",
    "type": "event type",
    "session_id": "session",
    "data": "payload, or violations",
    "show": "",
}
_SHOW = """<q-td :props="props"><q-btn dense flat no-caps label="show" :aria-label="'show event ' + props.row['#']"
@click="$parent.$emit('show', props.row['#'])" /></q-td>"""
_FILTERS = {"application": "Application", "category": "Category", "name": "Name", "session_id": "Session id"}


def add(desk: Desk) -> None:
    """Add the page."""
    add_page(desk, "/live", "Live", _build)


async def _build(desk: Desk, visitor: Visitor, parameters: Mapping[str, str]) -> None:
    _Page(desk, visitor, parameters)


class _Page:
    """One open page: its listener, and whether it is paused."""

    def __init__(self, desk: Desk, visitor: Visitor, parameters: Mapping[str, str]) -> None:
        self._desk, self._visitor = desk, visitor
        self._task: asyncio.Task[None] | None = None
        self._shown = -1
        self._paused: list[Verdict] | None = None
        with ui.element("div").classes("eye-row"):
            self._inputs = {
                name: ui.input(label, value=parameters.get(name, "")).on("keydown.enter", self._listen)
                for name, label in _FILTERS.items()
            }
            self._verdict = ui.select(["any", "accepted", "rejected"], value="any", label="Verdict")
            self._text = ui.input("Text in the event").on("keydown.enter", self._listen)
            ui.button("Filter", on_click=self._listen)
            self._pause = ui.button("Pause", on_click=self._switch)
        self._state = ui.label().props("role=status")
        self._table = table(_COLUMNS, [], {"session_id": "/session?id="}, per_page=0)
        self._table.add_slot("body-cell-show", _SHOW)
        self._table.on("show", lambda event: self._show(int(event.args)))
        self._listen()
        ui.timer(_REFRESH_SECONDS, self._refresh)
        ui.context.client.on_delete(self._stop)

    def _listen(self) -> None:
        """Hear from now on what the filters say."""
        self._stop()
        conditions = {name: field.value.strip() for name, field in self._inputs.items() if field.value.strip()}
        if self._verdict.value != "any":
            conditions["verdict"] = self._verdict.value
        self._live = LiveVerdicts(self._desk.gateway, self._visitor, conditions, self._text.value or "")
        self._shown = -1
        self._task = background_tasks.create(self._live.listen(), name="live verdicts")

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _switch(self) -> None:
        self._paused = list(self._live.kept) if self._paused is None else None
        self._pause.set_text("Pause" if self._paused is None else "Go on")

    def _refresh(self) -> None:
        live = self._live
        if self._visitor.gone:
            ui.navigate.to("/login")
        missed = f", {live.missed:,} missed" if live.missed else ""
        paused = ", paused" if self._paused is not None else ""
        self._state.set_text(f"{live.state}{paused}: {live.heard:,} events heard, the last {KEPT} are kept{missed}")
        if self._paused is None and live.heard != self._shown:
            self._shown = live.heard
            self._table.rows = [_row(verdict) for verdict in reversed(live.kept)]

    def _show(self, number: int) -> None:
        kept = self._live.kept if self._paused is None else self._paused
        found = next((verdict for verdict in kept if verdict.number == number), None)
        if found is None:
            ui.notify("This event has left the list.")
            return
        with ui.dialog(value=True) as dialog, ui.card().classes("eye-wide"):
            dialog.on("hide", dialog.delete)
            if found.kind == "rejected":
                for line in annotated(_raw(found.value), found.value["errors"]):
                    text_block(line.text).classes("eye-bad" if line.faulty else "").style("line-height: 1.2")
            else:
                text_block(pretty(found.value))
            with ui.expansion("As curl").classes("eye-wide"):
                text_block(curl(found, self._desk.gateway.urls))
            with ui.element("div").classes("eye-row"):
                ui.button("Copy as curl", on_click=lambda: _copy(curl(found, self._desk.gateway.urls)))
                ui.button("Close", on_click=dialog.close)


def _copy(text: str) -> None:
    ui.clipboard.write(text)
    ui.notify("Copied; put your key in the place of KEY.")


def curl(verdict: Verdict, urls: list[str]) -> str:
    """Return the command that sends such an event."""
    value = verdict.value
    if verdict.kind == "rejected":
        body = str(value.get("raw") or "")
    else:
        event = {name: value[name] for name in ("session_id", "category", "name", "data") if name in value}
        body = json.dumps(event | {"timestamp": value.get("occurred_at")}, ensure_ascii=False)
    address = f"{urls[0] if urls else 'http://127.0.0.1:8080'}/events/"
    return (
        f"curl -i {shlex.quote(address)} -H 'Authorization: Bearer KEY' -H 'Content-Type: application/json'"
        f" -d {shlex.quote(body)}"
    )


def _raw(value: Mapping[str, Any]) -> Any:
    """Return a rejected event as it came: as JSON where it is, else as text."""
    try:
        return json.loads(value.get("raw") or "null")
    except (ValueError, RecursionError):
        return value.get("raw")


def _row(verdict: Verdict) -> dict[str, str | int]:
    value, rejected = verdict.value, verdict.kind == "rejected"
    said = "; ".join(f"{error['code']} at {error['path']}" for error in value.get("errors", ()))
    data = said if rejected else json.dumps(value.get("data"), ensure_ascii=False)
    return {
        "#": verdict.number,
        "received": when(value.get("received_at")),
        "verdict": "REJECTED" if rejected else "accepted",
        "application": str(value.get("application") or ""),
        "type": f"{value.get('category') or '?'} / {value.get('name') or '?'}",
        "session_id": str(value.get("session_id") or ""),
        "data": data[:_MOST_CHARACTERS],
    }
