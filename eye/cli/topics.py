"""Commands `eye topics create`, `check`, `apply` and `accept-cluster`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eye.cli.terminal import AsJson, Yes, confirm, fail, out, print_found, read_settings
from schemas.settings import Settings

if TYPE_CHECKING:
    from eye.operations.topic_settings import TopicChange

topics_app = typer.Typer(help="The topics in Kafka.", no_args_is_help=True)


@topics_app.command("create", epilog="Example: `EYE_PARTITIONS=12 eye topics create`")
def create_topics(as_json: AsJson = False) -> None:
    """Make the topics that are missing; those that exist stay as they are."""
    from eye.operations.clusters import deployment_guard, write_down
    from eye.operations.topics import create_topics as create

    async def create_in_own_cluster(settings: Settings) -> Sequence[Any]:
        states = await create(settings, await deployment_guard(settings))
        await write_down(settings)
        return states

    _print_topics(asyncio.run(create_in_own_cluster(read_settings())), as_json)


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
    from eye.operations.clusters import demand_own_cluster
    from eye.operations.topic_settings import apply_changes, find_changes

    settings = read_settings()
    asyncio.run(demand_own_cluster(settings))
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


@topics_app.command("accept-cluster", epilog="Example: `eye topics accept-cluster --yes`")
def accept_cluster(
    keep_positions: Annotated[
        bool,
        typer.Option("--keep-positions", help="The topics there have the same offsets: go on where the sinks are."),
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Go on with a Kafka cluster that is another one than before: moved, mirrored, restored, or made anew.

    Until then every process leaves it alone. The sinks read its topics from their beginning, which stores no row twice.
    """
    from eye.operations.clusters import accept, cluster_state

    settings = read_settings()
    state = asyncio.run(cluster_state(settings))
    if state.found is None:
        fail("this Kafka has no cluster id, so that it can't be told from another")
    if settings.kafka_cluster_id not in (None, state.found):
        fail(
            f"EYE_KAFKA_CLUSTER_ID names {settings.kafka_cluster_id}, Kafka is {state.found}: change the setting first"
        )
    if not state.differences and "Postgres" in state.remembered:
        found = {"cluster_id": state.found, "accepted": False, "positions_forgotten": 0}
        print_found(found, [["nothing to accept", f"Kafka is {state.found}, as remembered"]], ["", ""], as_json)
        return
    before = "; ".join(state.differences) or "Postgres remembers none"
    confirm(f"Kafka is cluster {state.found}; {before}. Go on with {state.found}?", yes)
    keep = keep_positions or not state.differences  # nobody knows of another cluster
    forgotten = asyncio.run(accept(settings, state.found, keep_positions=keep))
    done = {"cluster_id": state.found, "accepted": True, "positions_forgotten": forgotten}
    rows = [["accepted", state.found], ["positions forgotten", str(forgotten)]]
    print_found(done, rows, ["", ""], as_json)


def _print_topics(states: Sequence[Any], as_json: bool) -> None:
    rows = [
        [s.name, str(s.partitions or ""), "made now" if s.created else "", "; ".join(s.differences)] for s in states
    ]
    found = [{name: getattr(s, name) for name in ("name", "partitions", "created", "differences")} for s in states]
    print_found(found, rows, ["topic", "partitions", "", "differs"], as_json)
