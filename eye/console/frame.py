"""The frame of each page: title, navigation, logout, and the one way in which a page reads or changes something."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TypeVar

from fastapi import Request
from nicegui import ui

from eye.console.desk import Desk
from eye.console.gateway_reads import ReadError
from eye.console.visitors import NotAllowed, Visitor

log = logging.getLogger(__name__)

T = TypeVar("T")

NAVIGATION = {
    "/": "Overview",
    "/live": "Live",
    "/sessions": "Sessions",
    "/rejected": "Rejected",
    "/trace": "Trace of an event",
    "/catalogue": "Catalogue",
    "/ledger": "Ledger",
    "/keys": "Applications and keys",
}
"""The pages of the menu by their address."""

_STYLE = """
.q-page-container a { color: inherit; text-decoration: underline }
.q-page-container a:focus-visible, button:focus-visible { outline: 2px solid currentColor; outline-offset: 2px }
.eye-tiles { display: flex; flex-wrap: wrap; gap: .75rem; width: 100% }
.eye-tile { flex: 1 1 8rem; padding: .6rem .9rem; border: 1px solid #8886; border-radius: 6px }
.eye-number { font-size: 1.5rem; font-variant-numeric: tabular-nums }
.eye-text { white-space: pre-wrap; overflow-wrap: anywhere; font-family: ui-monospace, monospace; font-size: .85rem }
.eye-plot { width: 100%; height: 16rem }
.eye-row { display: flex; flex-wrap: wrap; gap: .75rem; align-items: flex-end; width: 100% }
.eye-wide { width: 100% }
.eye-bad { color: #c10015 }
.body--dark .eye-bad { color: #ff8a80 }
.nicegui-content { max-width: 90rem; margin: 0 auto; width: 100%; min-width: 0 }
.nicegui-content > * { max-width: 100% }
.q-table td { white-space: normal; overflow-wrap: anywhere; min-width: 5rem }
"""

Build = Callable[[Desk, Visitor, Mapping[str, str]], Awaitable[None]]


def add_page(desk: Desk, path: str, title: str, build: Build) -> None:
    """Serve a page; `build` fills it, with the parameters of the address."""

    @ui.page(path, title=f"{title} - The Eye", response_timeout=30.0)
    async def page(request: Request) -> None:
        visitor: Visitor = request.state.visitor
        ui.add_css(_STYLE)
        _head(path, title, visitor)
        if await attempt(desk, visitor, lambda: _built(desk, visitor, request.query_params, build)) is None:
            ui.label("This page could not be shown; load it again.").classes("eye-bad")


async def _built(desk: Desk, visitor: Visitor, parameters: Mapping[str, str], build: Build) -> bool:
    await build(desk, visitor, parameters)
    return True


async def attempt(desk: Desk, visitor: Visitor, work: Callable[[], Awaitable[T]], *, admin: bool = False) -> T | None:
    """Do something for a visitor who may still do it, and say why where that fails; None then.

    With `admin` the gateway is asked now whether the key has that scope: this is what keeps others from changes.
    """
    try:
        await (desk.check_admin(visitor) if admin else desk.check(visitor))
        return await work()
    except (NotAllowed, ReadError) as error:
        fault = str(error)
    except Exception as error:
        log.warning("console: %s", error, exc_info=True)
        fault = str(error) or type(error).__name__
    with suppress(RuntimeError):  # the page was closed meanwhile
        if visitor.gone:
            ui.navigate.to("/login")
        ui.notify(fault, type="negative", multi_line=True, timeout=8000, close_button="Close")
    return None


def _head(path: str, title: str, visitor: Visitor) -> None:
    drawer = ui.left_drawer().props("bordered width=220")
    dark = ui.dark_mode(visitor.dark)

    def switch() -> None:
        visitor.dark = dark.value = {None: True, True: False, False: None}[dark.value]
        ui.notify({None: "Colours as the system has them", True: "Dark", False: "Light"}[dark.value])

    with ui.header().props("bordered").classes("items-center"):
        ui.button(icon="menu", on_click=drawer.toggle).props("flat color=white aria-label=Menu")
        ui.label(title).props("role=heading aria-level=1").style("font-size: 1.25rem; flex: 1")
        ui.button(icon="contrast", on_click=switch).props('flat color=white aria-label="Dark or light"')
        with ui.element("form").props("method=post action=/logout"):
            ui.button("Log out").props("flat color=white type=submit")
    with drawer, ui.element("nav").props("aria-label=Pages"):
        for address, label in NAVIGATION.items():
            ui.link(label, address).style(
                f"display: block; padding: .4rem; {'font-weight: bold' if address == path else ''}"
            )
        ui.separator()
        ui.label(f"{visitor.application}, {'may change data' if visitor.is_admin else 'reads only'}")
        ui.label(f"key {visitor.fingerprint}").style("font-size: .8rem")
