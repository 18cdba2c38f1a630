"""The catalogue: event types with their versions, and the JSON Schema of each."""

from __future__ import annotations

from collections.abc import Mapping

from nicegui import ui

from eye.console.desk import Desk
from eye.console.frame import add_page, attempt
from eye.console.texts import pretty, table, text_block
from eye.console.visitors import Visitor

_COLUMNS = {"category": "category", "name": "name", "version": "latest version", "versions": "versions", "show": ""}
_SHOW = """<q-td :props="props"><q-btn dense flat no-caps label="schema"
:aria-label="'schema of ' + props.row.category + ' / ' + props.row.name"
@click="$parent.$emit('show', props.row['#'])" /></q-td>"""


def add(desk: Desk) -> None:
    """Add the page."""
    add_page(desk, "/catalogue", "Catalogue", _build)


async def _build(desk: Desk, visitor: Visitor, _: Mapping[str, str]) -> None:
    found = (await desk.gateway.get(visitor.key, "/schemas"))["schemas"]

    async def show(number: int) -> None:
        schema = await desk.gateway.get(visitor.key, found[number]["href"])
        shown.clear()
        with shown:
            ui.label(f"{found[number]['category']} / {found[number]['name']}").style("font-size: 1.1rem")
            text_block(pretty(schema))

    rows = [
        {
            "category": one["category"],
            "name": one["name"],
            "version": one["version"],
            "versions": ", ".join(map(str, one["versions"])),
        }
        for one in found
    ]
    types = table(_COLUMNS, rows)
    types.add_slot("body-cell-show", _SHOW)
    types.on("show", lambda event: attempt(desk, visitor, lambda: show(int(event.args))))
    shown = ui.column().classes("eye-wide")
