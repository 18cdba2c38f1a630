"""Commands `eye topics create`, `check` and `apply`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eye.cli.terminal import AsJson, Yes, confirm, out, print_found, read_settings

if TYPE_CHECKING:
    from eye.operations.topic_settings import TopicChange

topics_app = typer.Typer(help="The topics in Kafka.", no_args_is_help=True)


@topics_app.command("create", epilog="Example: `EYE_PARTITIONS=12 eye topics create`")
def create_topics(as_json: AsJson = False) -> None:
    """Make the topics that are missing; those that exist stay as they are."""
    from eye.operations.topics import create_topics as create

    _print_topics(asyncio.run(create(read_settings())), as_json)


@topics_app.command("check", epilog="Example: `eye topics check`")
def check_topics(as_json: AsJson = False) -> None:
    """Compare the topics with the expected ones; exits 1 when one differs."""
    from eye.operations.topics import check_topics as check

    states = asyncio.run(check(read_settings()))
    _print_topics(states, as_json)
    if any(state.differences for state in states):
        raise typer.Exit(1)


@topics_app.command(epilog="Example: `EYE_RAW_RETENTION_HOURS=24 eye topics apply --dry-run`")
def apply(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Set retention and the like of existing topics to what the settings say; their partitions stay as they are."""
    from eye.operations.topic_settings import apply_changes, find_changes

    settings = read_settings()
    changes = asyncio.run(find_changes(settings))
    applies = bool(changes) and not dry_run
    if not as_json:
        _print_changes(changes)
    if applies:
        deleting = sorted({change.topic for change in changes if change.deletes})
        warning = f" Kafka then deletes records of {', '.join(deleting)} that it keeps today." if deleting else ""
        confirm(f"Set these?{warning}", yes)
        asyncio.run(apply_changes(settings, changes))
    if as_json:
        print_found({"changes": [asdict(change) for change in changes], "applied": applies}, [], [], True)
    elif applies:
        out.print("Set.")


def _print_changes(changes: Sequence[TopicChange]) -> None:
    if not changes:
        out.print("The topics are as the settings say.")
        return
    rows = [[change.topic, change.setting, change.now or "unknown", change.then] for change in changes]
    print_found(None, rows, ["topic", "setting", "now", "then"], False)


def _print_topics(states: Sequence[Any], as_json: bool) -> None:
    rows = [
        [s.name, str(s.partitions or ""), "made now" if s.created else "", "; ".join(s.differences)] for s in states
    ]
    found = [{name: getattr(s, name) for name in ("name", "partitions", "created", "differences")} for s in states]
    print_found(found, rows, ["topic", "partitions", "", "differs"], as_json)
