"""The page of commands, from the command line's own definitions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer.main

from docs.generate.markdown import page, table
from eye.cli.app import app


def commands_page() -> str:
    """Return the page: every command with its purpose, its arguments and options, and an example."""
    commands = list(_leaves(typer.main.get_command(app), "eye"))
    overview = table(["command", "what it does"], [[f"`{name}`", _purpose(command)] for name, command in commands])
    return page(
        "Commands",
        "`eye` stands in `.venv/bin`; `make shell` opens a shell that finds it. Each command has `--help` with"
        " an example;"
        " most take `--json`. Exit codes: 0 done, 1 failed, 2 used wrongly. What changes data asks first; `--yes`"
        " answers, and without a terminal a command refuses unless it is given.",
        overview,
        *(_section(name, command) for name, command in commands),
    )


def _leaves(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", {})
    if not children or getattr(command, "invoke_without_command", False):
        yield name, command
    for child, found in children.items():
        if not found.hidden:
            yield from _leaves(found, f"{name} {child}")


def _purpose(command: Any) -> str:
    return " ".join((command.help or "").split("\n\n")[0].split())


def _section(name: str, command: Any) -> str:
    help_text = "\n\n".join(" ".join(part.split()) for part in (command.help or "").split("\n\n"))
    rows = [_parameter(p) for p in command.params if not getattr(p, "hidden", False) and "--help" not in p.opts]
    parts = [
        f"## {name}",
        help_text,
        table(["argument or option", "meaning"], rows) if rows else "",
        command.epilog or "",
    ]
    return "\n\n".join(filter(None, parts))


def _parameter(parameter: Any) -> list[str]:
    if parameter.param_type_name == "argument":
        required = "" if parameter.required else " (optional)"
        return [f"`{(parameter.metavar or parameter.name).upper()}`{required}", parameter.help or ""]
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    default = parameter.default
    shown = "" if default is None or callable(default) or isinstance(default, bool) or not default else default
    meaning = " ".join((getattr(parameter, "help", "") or "").split())
    return [names, f"{meaning} Default: `{shown}`." if shown != "" else meaning]
