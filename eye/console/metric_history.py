"""The last hour of the processes' metrics, kept in memory."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

log = logging.getLogger(__name__)

SAMPLE_SECONDS = 5.0
KEPT_SECONDS = 3600.0

RATES: dict[str, tuple[str, tuple[dict[str, str], ...]]] = {
    "received": ("eye_gateway_events_total", ({"status": "ok"},)),
    "validated": ("eye_stream_events_total", ({"verdict": "accepted"},)),
    "rejected": ("eye_stream_events_total", ({"verdict": "rejected"},)),
    "stored": ("eye_sinks_rows_total", ({"table": "events"}, {"table": "rejected_events"})),
}
"""Counters whose rise in a second is shown, by the name it has on the page: a metric, and labels to add up."""


@dataclass(slots=True)
class Moment:
    """One look at all processes: rates in events a second, lag in seconds by stage, spooled events, who answers."""

    at: float
    rates: dict[str, float] = field(default_factory=dict)
    lag_seconds: dict[str, float] = field(default_factory=dict)
    spooled: int = 0
    answering: dict[str, bool] = field(default_factory=dict)


class MetricHistory:
    """Looks at /metrics of each address every SAMPLE_SECONDS and keeps an hour; `stages` names each topic's reader."""

    def __init__(self, urls: Iterable[str], stages: Mapping[str, str]) -> None:
        self._urls = list(dict.fromkeys(urls))
        self._stages = stages
        self._totals: dict[tuple[str, str], float] = {}
        self._last: float | None = None
        self.moments: deque[Moment] = deque(maxlen=int(KEPT_SECONDS / SAMPLE_SECONDS))

    async def watch(self, session: aiohttp.ClientSession) -> None:
        """Look again and again, until cancelled."""
        while True:
            try:
                await self.look(session)
            except Exception:
                log.exception("a look at the metrics failed")
            await asyncio.sleep(SAMPLE_SECONDS)

    async def look(self, session: aiohttp.ClientSession) -> None:
        """Ask every process for its metrics and keep what they say."""
        texts = await asyncio.gather(*(_fetch(session, url) for url in self._urls))
        self.add(dict(zip(self._urls, texts, strict=True)), time.time())

    def add(self, texts: Mapping[str, str | None], at: float) -> None:
        """Keep what the processes said at a moment; None is of one that said nothing."""
        moment, rises = Moment(at), dict.fromkeys(RATES, 0.0)
        lag: defaultdict[str, float] = defaultdict(float)
        for url, text in texts.items():
            moment.answering[url] = text is not None
            samples = _samples(text or "")
            moment.spooled += int(_sum(samples, "eye_gateway_spool_records", {}))
            for sample in samples:
                if sample.name == "eye_partition_lag_seconds":
                    stage = self._stages.get(sample.labels["topic"], sample.labels["topic"])
                    lag[stage] = max(lag[stage], sample.value)
            if text is not None:
                for name, (metric, choices) in RATES.items():
                    rises[name] += self._rise((url, name), sum(_sum(samples, metric, labels) for labels in choices))
        if self._last is not None and at > self._last:
            moment.rates = {name: rise / (at - self._last) for name, rise in rises.items()}
        self._last, moment.lag_seconds = at, dict(lag)
        self.moments.append(moment)

    def _rise(self, key: tuple[str, str], total: float) -> float:
        """Return by how much a counter rose; a process that was started again begins at 0."""
        before = self._totals.get(key)
        self._totals[key] = total
        if before is None:
            return 0.0
        return total - before if total >= before else total


async def _fetch(session: aiohttp.ClientSession, url: str) -> str | None:
    try:
        async with session.get(f"{url}/metrics") as response:
            return await response.text() if response.status == 200 else None
    except (aiohttp.ClientError, TimeoutError, UnicodeDecodeError):
        return None


def _samples(text: str) -> list[Sample]:
    try:
        return [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    except ValueError:
        return []


def _sum(samples: Iterable[Sample], name: str, labels: Mapping[str, str]) -> float:
    return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())
