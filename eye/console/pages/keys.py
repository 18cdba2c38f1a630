"""Applications and their keys: listed for everybody, added and revoked by whoever has the scope admin."""

from __future__ import annotations

from collections.abc import Mapping

from nicegui import ui

from eye.console.desk import Desk
from eye.console.frame import add_page, attempt
from eye.console.texts import table, text_block
from eye.console.visitors import NotAllowed, Visitor, audit
from eye.operations import keys
from eye.operations.gateways import wait_for_keys
from schemas.event import MAX_TEXT

_COLUMNS = {
    "application": "application",
    "fingerprint": "fingerprint",
    "scopes": "scopes",
    "label": "label",
    "created": "created",
}


def add(desk: Desk) -> None:
    """Add the page."""
    add_page(desk, "/keys", "Applications and keys", _build)


async def _build(desk: Desk, visitor: Visitor, _: Mapping[str, str]) -> None:
    path = desk.settings.applications_file

    async def read() -> None:
        shown.rows = [
            {
                "#": number,
                "application": entry.application,
                "fingerprint": entry.fingerprint,
                "scopes": ", ".join(entry.scopes),
                "label": entry.label or "",
                "created": entry.created or "",
            }
            for number, entry in enumerate(keys.list_keys(path))
        ]

    async def make() -> None:
        name = application.value.strip()
        if not 1 <= len(name) <= MAX_TEXT or not name.isprintable():
            raise NotAllowed(f"An application's name has 1 to {MAX_TEXT} characters, none of them a control character.")
        if not path.exists():
            raise NotAllowed(f"{path} is not there: the console needs the gateways' file (EYE_APPLICATIONS).")
        if not scopes.value:
            raise NotAllowed("Choose a scope at least.")
        key = keys.add_key(path, name, scopes.value, label.value.strip() or None)
        audit(visitor, f"a key of {name} is made, with {', '.join(scopes.value)}")
        with made:
            ui.label(f"The key of {name}; it is shown now and never again:")
            text_block(key)
        await read()
        await wait_for_keys(desk.settings, keys.keys_version(path))

    async def revoke() -> None:
        wanted = fingerprint.value.strip()
        found = [entry for entry in keys.list_keys(path) if wanted and entry.sha256.startswith(wanted)]
        if len(found) != 1:
            raise NotAllowed(f"{len(found)} keys begin with what was typed: type the fingerprint of one.")
        keys.revoke_key(path, found[0].sha256)
        audit(visitor, f"the key {found[0].fingerprint} of {found[0].application} is revoked")
        await read()
        await wait_for_keys(desk.settings, keys.keys_version(path))
        ui.notify(f"Revoked: the gateways refuse the key {found[0].fingerprint}.")

    ui.label(f"Keys of {path}; those of access tokens' issuers are not among them.")
    shown = table(_COLUMNS, [])
    await read()
    if not visitor.is_admin:
        ui.label("To add or revoke keys log in with a key of scope admin.")
        return
    with ui.element("div").classes("eye-row"):
        application, label = ui.input("Application"), ui.input("Label")
        scopes = ui.select(list(keys.SCOPES), value=["write"], multiple=True, label="Scopes")
        ui.button("Add a key", on_click=lambda: attempt(desk, visitor, make, admin=True))
    made = ui.column().classes("eye-wide")
    with ui.element("div").classes("eye-row"):
        fingerprint = ui.input("Fingerprint of a key")
        ui.button("Revoke it", on_click=lambda: attempt(desk, visitor, revoke, admin=True))
