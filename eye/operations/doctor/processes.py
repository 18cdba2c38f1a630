"""Checks of the processes: gateways, stream and sinks answer and are ready, and no spool waits for long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import aiohttp

from eye.operations.doctor.finding import Finding
from eye.operations.gateways import GatewayState, read_gateways
from eye.operations.spools import read_spools
from schemas.settings import Settings

MOST_SPOOL_SECONDS = 60.0

_ANSWER_SECONDS = 2.0

_GATEWAY = "See its log. Where Kafka answers and the gateway does not reach it, restart the gateway: its spool is kept."
_WORKER = "See its log; a worker that does not answer or stays unready is to be restarted: it goes on where it was."
_SPOOL = "See why this gateway does not write to Kafka: its log, its /readyz, `eye doctor`'s line of Kafka."
_ABANDONED = "Start a gateway on this data directory: it sends what the dead one left."


async def check_processes(settings: Settings) -> list[Finding]:
    """Check the processes whose addresses are known, and the spools; says nothing of others."""
    gateways, workers = await asyncio.gather(read_gateways(settings), _workers(settings))
    return [*map(_gateway, gateways), *workers, *[finding async for finding in _spools(settings)]]


def _gateway(state: GatewayState) -> Finding:
    return Finding(f"gateway {state.url}", state.fault is None, state.fault or "ready", _GATEWAY)


async def _spools(settings: Settings) -> AsyncIterator[Finding]:
    for spool in await read_spools(settings):
        seen = f"{spool.records:,} events wait, the oldest for {spool.oldest_seconds:,.0f} s"
        if spool.abandoned:
            yield Finding(f"spool {spool.where}", False, f"{seen}, and no process has the file", _ABANDONED)
        else:
            yield Finding(f"spool of {spool.where}", spool.oldest_seconds <= MOST_SPOOL_SECONDS, seen, _SPOOL)


async def _workers(settings: Settings) -> list[Finding]:
    timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        return [await _worker(session, name, url) for name, url in _worker_urls(settings)]


def _worker_urls(settings: Settings) -> Iterator[tuple[str, str]]:
    for name, port in (("stream", settings.stream_port), ("sinks", settings.sinks_port)):
        if port:
            yield name, f"http://{settings.worker_host}:{port}"


async def _worker(session: aiohttp.ClientSession, name: str, url: str) -> Finding:
    try:
        async with session.get(f"{url}/readyz") as response:
            text = (await response.text()).strip()
            return Finding(
                f"{name} {url}", response.status == 200, "ready" if response.status == 200 else text, _WORKER
            )
    except (aiohttp.ClientError, TimeoutError) as error:
        return Finding(f"{name} {url}", False, f"does not answer: {str(error) or type(error).__name__}", _WORKER)
