"""Command `eye doctor`."""

from __future__ import annotations

import json

import typer

from eye.cli.terminal import AsJson, out, print_found, read_settings
from eye.operations.doctor.deployment import check_deployment, effective_settings


def doctor(as_json: AsJson = False) -> None:
    """Show the effective settings, and each fault with its remedy; exits 1 when there is one."""
    settings = read_settings()
    shown, findings = effective_settings(settings), check_deployment(settings)
    if as_json:
        found = [{"what": f.what, "ok": f.ok, "seen": f.seen, "mend": None if f.ok else f.mend} for f in findings]
        out.print_json(json.dumps({"settings": shown, "findings": found}))
    else:
        print_found(None, [[name, value] for name, value in shown.items()], ["setting", "value"], False)
        rows = [["ok", f.what, f.seen] if f.ok else ["WRONG", f.what, f"{f.seen}\nMend: {f.mend}"] for f in findings]
        print_found(None, rows, ["", "what", "seen"], False)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)
