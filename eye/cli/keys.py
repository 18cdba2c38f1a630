"""Commands `eye keys add`, `eye keys list` and `eye keys revoke`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Annotated

import typer

from eye.cli.terminal import AsJson, Yes, confirm, err, fail, out, print_found, read_settings
from eye.cli.time_arguments import EXPIRY_FORMS, parse_expiry
from eye.operations import keys
from eye.operations.gateways import gateway_urls, keys_last_used, wait_for_keys
from schemas.event import MAX_TEXT

_NOBODY: Mapping[str, str] = MappingProxyType({})

keys_app = typer.Typer(help="The applications' keys, in applications.toml.", no_args_is_help=True)


@keys_app.command(
    "add",
    epilog="Example: `eye keys add shop --scopes write,read --label till-7`; for the pages of a site"
    " `eye keys add shop --public --origin https://shop.example`",
)
def add_key(
    application: str,
    scopes: Annotated[
        str, typer.Option(help="What the key may do, with commas between: write, read, read_all, admin.")
    ] = "write",
    label: Annotated[str | None, typer.Option(help="A name for the key, for people.")] = None,
    public: Annotated[
        bool, typer.Option("--public", help="The key may stand in a page: it works from the origins alone.")
    ] = False,
    origin: Annotated[
        list[str] | None, typer.Option(help="Pages of this origin may send for the application; may be repeated.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(help=f"The key opens nothing from then on: {EXPIRY_FORMS}. Default: never.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key for an application and print it, once: only its SHA-256 is kept."""
    if not 1 <= len(application) <= MAX_TEXT:
        raise typer.BadParameter(f"an application's name has 1 to {MAX_TEXT} characters")
    if not application.isprintable() or application != application.strip():
        raise typer.BadParameter("an application's name has no control characters, and no space at its ends")
    wanted = [scope.strip() for scope in scopes.split(",")]
    if unknown := set(wanted) - set(keys.SCOPES):
        raise typer.BadParameter(f"no such scope: {', '.join(sorted(unknown))}; there are {', '.join(keys.SCOPES)}")
    if public and wanted != ["write"]:
        raise typer.BadParameter("a public key may only write")
    end = None if expires is None else parse_expiry("--expires", expires)
    settings = read_settings()
    path = settings.applications_file.absolute()
    key = keys.add_key(path, application, wanted, label, public=public, origins=origin or (), expires=end)
    if as_json:
        made = {"application": application, "key": key, "scopes": wanted, "file": str(path)}
        print_found(made | {"label": label, "expires": None if end is None else end.isoformat()}, [], [], True)
        return
    out.print(key, markup=False, highlight=False, soft_wrap=True)
    err.print(f"written to {path}; gateways that read this file take the key within a second", soft_wrap=True)
    if public:
        err.print("it may stand in your pages: `init({ url, key })` of /eye.js", markup=False)
    else:
        err.print("send it as `Authorization: Bearer KEY`, or with `eye send FILE --key KEY`", markup=False)


@keys_app.command("list", epilog="Example: `eye keys list --json`")
def list_keys(as_json: AsJson = False) -> None:
    """List the applications' keys by the beginning of their SHA-256.

    `last used` is the hour of the last use, in UTC, as the gateways that answer know it: each since its start.
    """
    settings = read_settings()
    entries = keys.list_keys(settings.applications_file)
    used = asyncio.run(keys_last_used(settings))
    _print_keys(entries, as_json, used or {})
    if used is None and not as_json:
        err.print("no gateway answers: when a key was last used is not known", style="dim")


@keys_app.command("revoke", epilog="Example: `eye keys revoke 3fc1a2b4`")
def revoke_key(
    fingerprint: Annotated[
        str, typer.Argument(help="The beginning of the key's SHA-256, as `eye keys list` shows it.")
    ],
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Take a key out of the file, and wait until the gateways refuse it; exits 1 when one that answers does not."""
    settings = read_settings()
    path = settings.applications_file
    found = [entry for entry in keys.list_keys(path) if entry.sha256.startswith(fingerprint)]
    if len(found) != 1:
        fail(f"{len(found)} keys begin with {fingerprint}; `eye keys list` shows them")
    confirm(f"Revoke a key of {found[0].application}?", yes)
    _print_keys(keys.revoke_key(path, fingerprint), as_json)
    reached = asyncio.run(wait_for_keys(settings, keys.keys_version(path)))
    if gateway_urls(settings):
        answered = ", ".join(reached) or "no gateway answered; each"
        err.print(f"{answered} {'uses' if reached else 'takes'} the new keys{'' if reached else ' when it reads them'}")


def _print_keys(entries: Iterable[keys.KeyEntry], as_json: bool, used: Mapping[str, str] = _NOBODY) -> None:
    found = [
        {
            "application": e.application,
            "sha256": e.fingerprint,
            "scopes": e.scopes,
            "label": e.label,
            "created": e.created,
            "expires": None if e.expires is None else e.expires.isoformat(),
            "last_used": used.get(e.fingerprint),
        }
        for e in entries
    ]
    rows = [
        [
            e.application,
            e.fingerprint,
            ", ".join(e.scopes),
            e.label or "",
            e.created or "",
            "" if e.expires is None else f"{e.expires:%Y-%m-%d %H:%M}",
            used.get(e.fingerprint, "").replace("T", " ").removesuffix("Z"),
        ]
        for e in entries
    ]
    columns = ["application", "sha256", "scopes", "label", "created", "expires", "last used"]
    print_found(found, rows, columns, as_json)
