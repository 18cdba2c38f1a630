"""Commands `eye topics create` and `eye topics check`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import typer

from eye.cli.terminal import AsJson, print_found, read_settings

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


def _print_topics(states: Sequence[Any], as_json: bool) -> None:
    rows = [
        [s.name, str(s.partitions or ""), "made now" if s.created else "", "; ".join(s.differences)] for s in states
    ]
    found = [{name: getattr(s, name) for name in ("name", "partitions", "created", "differences")} for s in states]
    print_found(found, rows, ["topic", "partitions", "", "differs"], as_json)
