"""Events that clients dropped before they could send them, as they reported to the gateways."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import NamedTuple

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from eye.operations.gateways import gateway_session, gateway_urls
from schemas.settings import Settings

METRIC = "eye_gateway_client_dropped"


class ClientDrops(NamedTuple):
    """Events of one application that its clients dropped for one reason, since the gateways started."""

    application: str
    reason: str
    events: int


async def read_client_drops(settings: Settings) -> list[ClientDrops]:
    """Return what the known gateways count, sorted; one that gives no metrics within 2 s is left out.

    No part of the balance: these events never came to a gateway, and a gateway counts from its start.
    """
    async with gateway_session(settings) as session:
        found = await asyncio.gather(*(_read(session, url) for url in gateway_urls(settings)))
    counts = sum(found, Counter[tuple[str, str]]())
    return [ClientDrops(application, reason, count) for (application, reason), count in sorted(counts.items())]


def _counts(page: str) -> Counter[tuple[str, str]]:
    """Return the counts of a page of metrics by application and reason. Raises ValueError for any other page."""
    found: Counter[tuple[str, str]] = Counter()
    for family in text_string_to_metric_families(page):
        if family.name == METRIC:
            for sample in family.samples:
                if sample.name == f"{METRIC}_total":
                    found[sample.labels["application"], sample.labels["reason"]] += int(sample.value)
    return found


async def _read(session: aiohttp.ClientSession, url: str) -> Counter[tuple[str, str]]:
    try:
        async with session.get(f"{url}/metrics", raise_for_status=True) as response:
            return _counts(await response.text())
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return Counter()
