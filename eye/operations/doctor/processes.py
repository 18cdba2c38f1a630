"""Checks of the processes: gateways, stream and sinks answer and are ready, and no spool waits for long."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiohttp

from eye.operations.doctor.finding import Finding
from eye.operations.gateways import GatewayState, read_gateways
from eye.operations.spools.states import read_spool_states
from schemas.settings import Settings

MOST_SPOOL_SECONDS = 60.0

_ANSWER_SECONDS = 2.0

_GATEWAY = "See its log. Where Kafka answers and the gateway does not reach it, restart the gateway: its spool is kept."
_WORKER = "See its log; a worker that does not answer or stays unready is to be restarted: it goes on where it was."
_SPOOL = "See why this gateway does not write to Kafka: its log, its /readyz, `eye doctor`'s line of Kafka."
_ABANDONED = "Start a gateway on this data directory, or send it by `eye spool drain`: it is what a dead gateway left."
_CLOSED = "Look as the gateway's user: what its spool holds is not known."
_REFUSED = "Raise the topic's max.message.bytes, then send them again where they lie: `eye spool refused --send`."


async def check_processes(settings: Settings) -> list[Finding]:
    """Check the processes whose addresses are known, and the spools; says nothing of others."""
    gateways, workers = await asyncio.gather(read_gateways(settings), _workers(settings))
    return [*map(_gateway, gateways), *workers, *await _spools(settings)]


def _gateway(state: GatewayState) -> Finding:
    return Finding(f"gateway {state.url}", state.fault is None, state.fault or "ready", _GATEWAY)


async def _spools(settings: Settings) -> list[Finding]:
    states = await read_spool_states(settings)
    findings = []
    for spool in states.spools:
        if not spool.abandoned:
            seen = _waiting(spool.records, spool.oldest_seconds)
            findings.append(
                Finding(f"spool of {spool.where}", spool.oldest_seconds <= MOST_SPOOL_SECONDS, seen, _SPOOL)
            )
    if states.fault is not None:
        findings.append(Finding("spool directory", False, states.fault, _CLOSED))
    left = [spool for spool in states.spools if spool.abandoned]
    if left:
        waiting = _waiting(sum(spool.records for spool in left), max(spool.oldest_seconds for spool in left))
        seen = f"{waiting}, in {len(left)} files that no process has"
        findings.append(Finding(f"spool directory {Path(left[0].where).parent}", False, seen, _ABANDONED))
    for refused in states.refused:
        seen = f"{refused.records:,} events that Kafka refused are set aside"
        findings.append(Finding(f"refused events at {refused.where}", False, seen, _REFUSED))
    return findings


def _waiting(records: int, oldest_seconds: float) -> str:
    return f"{records:,} events wait, the oldest for {oldest_seconds:,.0f} s"


async def _workers(settings: Settings) -> list[Finding]:
    timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        return [await _worker(session, name, url) for name, url in _worker_urls(settings)]


def _worker_urls(settings: Settings) -> Iterator[tuple[str, str]]:
    for name, port in (("stream", settings.stream_port), ("sinks", settings.sinks_port)):
        if port:
            yield name, f"http://{settings.worker_host}:{port}"


async def _worker(session: aiohttp.ClientSession, name: str, url: str) -> Finding:
    """Ask a worker whether it is ready, and whether it moves: one that is wedged may be ready all the while."""
    faults = []
    try:
        for page in ("readyz", "healthz"):
            async with session.get(f"{url}/{page}") as response:
                if response.status != 200:
                    faults.append((await response.text()).strip())
    except (aiohttp.ClientError, TimeoutError) as error:
        faults.append(f"does not answer: {str(error) or type(error).__name__}")
    return Finding(f"{name} {url}", not faults, "; ".join(faults) or "ready", _WORKER)
