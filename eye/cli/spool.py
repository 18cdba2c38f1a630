"""Commands `eye spool list`, `drain`, `wait` and `refused`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from eye.cli.terminal import AsJson, Yes, confirm, err, fail, out, print_found, read_settings
from schemas.settings import Settings
from schemas.topics import topic_names

spool_app = typer.Typer(
    help="The gateways' spools: what they hold, and what gateways that have gone left.", no_args_is_help=True
)

Directory = Annotated[
    Path | None, typer.Argument(help="Spool directory of a gateway, or its data directory. Default: the settings'.")
]
_PROGRESS_SECONDS = 2.0
_POLL_SECONDS = 0.2


@spool_app.command("list", epilog="Example: `eye spool list /mnt/gateway-2`")
def list_spools(directory: Directory = None, as_json: AsJson = False) -> None:
    """List a spool directory's files by their gateway, alive or dead, and what is set aside."""
    from eye.operations.gateways import read_gateways
    from eye.operations.spools.survey import survey_directory

    settings = _of_directory(directory)
    survey = survey_directory(settings.spool_directory)
    owned = survey.owned(asyncio.run(read_gateways(settings)))
    found = {
        "directory": str(survey.directory),
        "spools": [asdict(spool) for spool in owned],
        "files": [asdict(file) | {"path": str(file.path)} for file in survey.files],
        "refused": dict(survey.refused),
        "damaged": [str(path) for path in survey.damaged],
    }
    rows = [
        [
            spool.owner,
            "alive" if spool.alive else "dead",
            spool.topic,
            str(spool.files),
            "?" if spool.records is None else f"{spool.records:,}",
            f"{spool.bytes:,}",
            "?" if spool.oldest_seconds is None else f"{spool.oldest_seconds:,.0f} s",
        ]
        for spool in owned
    ]
    print_found(found, rows, ["gateway", "", "topic", "files", "events", "bytes", "oldest"], as_json)
    if as_json:
        return
    for file in survey.left:
        if file.fault:
            _say(f"can't be read: {file.path.name}: {file.fault}")
    for topic, number in survey.refused.items():
        _say(f"refused by {topic} and set aside: {number:,} events; `eye spool refused {survey.directory}` shows them")
    for path in survey.damaged:
        _say(f"damaged: {path}")


@spool_app.command("drain", epilog="Example: `eye spool drain /mnt/gateway-2 --yes`")
def drain_spool(
    directory: Directory = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be sent.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Send what a gateway that has gone left to Kafka; refuses while a living one has the files.

    Each event goes in its order, with headers and time as it came, and none twice, also when this is run again or was
    killed. Exits 0 when nothing that was acknowledged is left in the directory.
    """
    from eye.operations.spools.drain import check_unowned, drain_spool
    from eye.operations.spools.survey import survey_directory

    settings = _of_directory(directory)
    survey = survey_directory(settings.spool_directory)
    check_unowned(settings, survey)
    topic = topic_names(settings).raw
    files = [file for file in survey.left if file.topic == topic]
    foreign = sorted({file.topic for file in survey.files} - {topic})
    events = sum(file.records or 0 for file in files)
    if foreign:
        err.print(f"left alone, of another deployment (EYE_TOPIC_PREFIX): {', '.join(foreign)}", markup=False)
    if dry_run:
        print_found(
            {"directory": str(survey.directory), "topic": topic, "files": len(files), "records": events},
            [[str(survey.directory), topic, str(len(files)), f"{events:,}"]],
            ["directory", "to topic", "files", "events"],
            as_json,
        )
        return
    if files:
        confirm(f"Send {events:,} events of {len(files)} files in {survey.directory} to {topic}?", yes)
    drained = asyncio.run(drain_spool(settings, _progress("events have left the spool")))
    rows = [
        ["sent", f"{drained.sent:,}"],
        ["in Kafka already", f"{drained.copies:,}"],
        ["refused by the topic, set aside", f"{drained.refused:,}"],
        ["left", f"{drained.left:,}"],
        ["damaged", f"{drained.damaged:,}"],
    ]
    print_found(asdict(drained) | {"complete": drained.complete}, rows, ["", "events"], as_json)
    if drained.set_aside:
        err.print(f"{drained.set_aside:,} events are set aside: `eye spool refused {survey.directory}`", markup=False)
    if not drained.complete:
        raise typer.Exit(1)


@spool_app.command("wait", epilog="Example: `eye spool wait --seconds 90`")
def wait_for_spool(
    directory: Directory = None,
    seconds: Annotated[float, typer.Option(min=0, help="How long to wait at most.")] = 60.0,
) -> None:
    """Wait until the gateways of a directory have sent all that they spooled; exits 1 when the time is over.

    It is for the moment before a gateway is stopped for good, as Kubernetes' preStop. It asks nobody: a file goes once
    all of it is in Kafka.
    """
    settings = _of_directory(directory, must_exist=False)
    pattern = f"{topic_names(settings).raw}-*.spool"
    deadline = time.monotonic() + seconds
    while left := list(settings.spool_directory.glob(pattern)):
        if time.monotonic() > deadline:
            fail(f"{len(left)} files are left in {settings.spool_directory} after {seconds:g} s: `eye spool list`")
        time.sleep(_POLL_SECONDS)


@spool_app.command("refused", epilog="Example: `eye spool refused --send --yes`")
def show_refused(
    directory: Directory = None,
    send: Annotated[bool, typer.Option("--send", help="Send them again; the topic has to take them by now.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Show the events that Kafka refused, or send them again; a gateway may go on in the directory meanwhile.

    With `--send` it exits 1 when the topic refuses one once more: raise its `max.message.bytes` first.
    """
    from eye.operations.spools.refused import SHOWN, describe_refused, list_refused, send_refused
    from eye.operations.spools.survey import survey_directory

    settings = _of_directory(directory)
    topic = topic_names(settings).raw
    number = survey_directory(settings.spool_directory).refused.get(topic, 0)
    if not send:
        shown = [describe_refused(record) for record in list_refused(settings)]
        rows = [
            [
                _moment(one["refused_at"]),
                one["application"],
                one["session_id"],
                one["event_id"],
                f"{one['bytes']:,}",
                one["reason"],
            ]
            for one in shown
        ]
        columns = ["refused at", "application", "session", "event", "bytes", "reason"]
        print_found({"topic": topic, "refused": number, "records": shown}, rows, columns, as_json)
        if number > SHOWN and not as_json:
            _say(f"… and {number - SHOWN:,} more")
        return
    if number:
        confirm(f"Send {number:,} refused events to {topic} again?", yes)
    progress = _progress("events are dealt with")
    resent = asyncio.run(send_refused(settings, lambda done: progress(done, number)))
    rows = [
        ["sent", f"{resent.sent:,}"],
        ["in Kafka already", f"{resent.copies:,}"],
        ["refused once more", f"{resent.refused:,}"],
    ]
    print_found(asdict(resent), rows, ["", "events"], as_json)
    if resent.refused:
        raise typer.Exit(1)


def _of_directory(given: Path | None, *, must_exist: bool = True) -> Settings:
    """Return the settings, for the spool directory that is meant."""
    from eye.operations.spools.survey import find_directory

    settings = read_settings()
    if given is None and not must_exist and not settings.spool_directory.is_dir():
        return settings
    return settings.model_copy(update={"spool_dir": find_directory(settings, given)})


def _progress(what: str) -> Callable[[int, int], None]:
    """Return a function that prints the progress every few seconds."""
    told_at = time.monotonic()

    def tell(done: int, of: int) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= _PROGRESS_SECONDS:
            told_at = time.monotonic()
            err.print(f"{done:,} of {of:,} {what}")

    return tell


def _moment(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _say(sentence: str) -> None:
    out.print(sentence, markup=False, soft_wrap=True)
