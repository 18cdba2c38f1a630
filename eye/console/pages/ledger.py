"""The ledger: received events beside what became of them, by application and hour."""

from __future__ import annotations

from collections.abc import Mapping

from nicegui import ui

from eye.console.desk import Desk
from eye.console.frame import add_page, attempt
from eye.console.texts import table
from eye.console.visitors import NotAllowed, Visitor
from eye.operations.books.ledger import compute_ledger
from schemas.timestamp import parse_time

_NUMBERS = ("received", "stored", "rejected", "duplicate", "in_flight", "difference")
_COLUMNS = {"application": "application", "hour": "hour (UTC)"} | {name: name.replace("_", " ") for name in _NUMBERS}


def add(desk: Desk) -> None:
    """Add the page."""
    add_page(desk, "/ledger", "Ledger", _build)


async def _build(desk: Desk, visitor: Visitor, _: Mapping[str, str]) -> None:
    async def balance() -> None:
        if desk.settings.read_scope == "own" and not visitor.scopes & {"read_all", "admin"}:
            raise NotAllowed("The ledger has all applications: it needs a key with the scope read_all or admin.")
        button.props("loading")
        try:
            found = await compute_ledger(desk.settings, parse_time(since.value) if since.value.strip() else None)
        finally:
            button.props(remove="loading")
        result.clear()
        rows = [
            {"application": line.application, "hour": f"{line.hour:%Y-%m-%d %H:00}"}
            | {name: getattr(line, name) for name in _NUMBERS}
            for line in found.lines
        ]
        rows.append({"application": "all"} | {name: getattr(found.total, name) for name in _NUMBERS})
        with result:
            ui.label("The books balance." if found.balanced else "The books do not balance.").classes(
                "" if found.balanced else "eye-bad"
            )
            for sentence in found.explanations:
                ui.label(sentence).classes("eye-bad")
            if found.spooled:
                ui.label(f"{found.spooled:,} events wait in spools, in no line of these.")
            table(_COLUMNS, rows, per_page=100)

    with ui.element("div").classes("eye-row"):
        since = ui.input("Since, like 3d, 2h or 2026-01-31", value="1d")
        button = ui.button("Balance", on_click=lambda: attempt(desk, visitor, balance))
    result = ui.column().classes("eye-wide")
