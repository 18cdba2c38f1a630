"""Events in the gateways' spools: acknowledged to their senders, and not in Kafka yet."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from eye.operations.gateways import GatewayState, read_gateways
from eye.operations.spools.errors import SpoolError
from eye.operations.spools.survey import Survey, survey_directory
from schemas.settings import Settings
from schemas.topics import topic_names


@dataclass(frozen=True, slots=True)
class SpoolState:
    """Events in one spool; `where` is a gateway's address, or a file that no process works on."""

    where: str
    records: int
    oldest_seconds: float
    abandoned: bool = False


@dataclass(frozen=True, slots=True)
class Refusals:
    """Events that Kafka refused and that are set aside; `where` is a gateway's address, or a directory."""

    where: str
    records: int


@dataclass(frozen=True, slots=True)
class SpoolStates:
    """Spools that hold events, events set aside, and gateways that do not answer: what they hold is not known.

    `fault` says why the spool directory of this machine can't be looked into.
    """

    spools: Sequence[SpoolState] = ()
    refused: Sequence[Refusals] = ()
    silent: Sequence[str] = ()
    fault: str | None = None


async def read_spools(settings: Settings) -> list[SpoolState]:
    """Return the spools that hold events: those of the gateways that answer, and files that dead ones left here."""
    return list((await read_spool_states(settings)).spools)


async def read_spool_states(settings: Settings) -> SpoolStates:
    """Ask the gateways, and look into the spool directory of this machine."""
    gateways, fault = await read_gateways(settings), None
    here = Survey(settings.spool_directory)
    try:
        if here.directory.is_dir():
            here = survey_directory(here.directory)
    except (SpoolError, OSError) as error:
        fault = str(error)
    topic = topic_names(settings).raw
    answering = [
        SpoolState(state.url, state.spooled_records, state.spool_oldest_seconds)
        for state in gateways
        if state.reachable and state.spooled_records
    ]
    return SpoolStates(
        spools=[*answering, *_abandoned(here, topic)],
        refused=list(_refused(gateways, here, topic)),
        silent=[state.url for state in gateways if not state.reachable],
        fault=fault,
    )


def _abandoned(here: Survey, topic: str) -> Iterator[SpoolState]:
    for file in here.left:
        if file.topic == topic and file.records:
            age = max(0.0, time.time() - file.oldest / 1000) if file.oldest is not None else 0.0
            yield SpoolState(str(file.path), file.records, age, abandoned=True)


def _refused(gateways: Sequence[GatewayState], here: Survey, topic: str) -> Iterator[Refusals]:
    """Yield what is set aside, each directory once: gateways that share this machine's tell the same number."""
    records = here.refused.get(topic, 0)
    if records:
        yield Refusals(str(here.directory), records)
    for state in gateways:
        if state.refused_records and state.refused_records != records:
            yield Refusals(state.url, state.refused_records)
