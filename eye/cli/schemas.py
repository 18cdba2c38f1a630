"""Command `eye schemas`."""

from __future__ import annotations

from eye.cli.terminal import AsJson, print_found, read_settings


def schemas(as_json: AsJson = False) -> None:
    """List the event types that are known."""
    catalogue = list(read_settings().rules().catalogue)
    found = [{"category": t.category, "name": t.name, "version": t.version} for t in catalogue]
    rows = [[t.category, t.name, str(t.version), t.model.__module__] for t in catalogue]
    print_found(found, rows, ["category", "name", "version", "module"], as_json)
