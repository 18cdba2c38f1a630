"""The dashboard's picture: a pipeline under load, scraped every second, a stream worker killed and started again.

python -m tests.faults.harness.picture      writes docs/dashboard.svg; about two minutes
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from schemas.settings import Settings
from tests.faults.harness.field import Ground
from tests.faults.harness.traffic import Traffic
from tests.observability.picture import draw
from tests.observability.promql import Store
from tests.support.pipeline import EyeProcess, Pipeline, poll

ROOT = Path(__file__).parents[3]

RATE = 1_000.0
BEFORE_SECONDS, DEAD_SECONDS, AFTER_SECONDS = 25, 15, 35


class Scraper:
    """Asks processes for their metrics every second; seconds count from the first time."""

    def __init__(self, processes: list[EyeProcess]) -> None:
        self.store = Store()
        self.second = 0
        self._processes = processes
        self._began = time.monotonic()

    @contextmanager
    def scraping(self) -> Iterator[None]:
        """Scrape while the body runs."""
        done = threading.Event()
        thread = threading.Thread(target=self._scrape, args=(done,))
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _scrape(self, done: threading.Event) -> None:
        before: dict[EyeProcess, list[Sample]] = {process: [] for process in self._processes}
        with ThreadPoolExecutor(len(self._processes)) as threads:
            while not done.wait(max(self._began + self.second + 1 - time.monotonic(), 0)):
                self.second += 1
                for process, samples in zip(self._processes, threads.map(_samples, self._processes), strict=True):
                    self._add(process, samples)
                    self._end(process, before[process], samples)
                    before[process] = samples

    def _end(self, process: EyeProcess, before: Sequence[Sample], now: Sequence[Sample]) -> None:
        """Say that the series have ended which a process no longer serves."""
        served = {(sample.name, frozenset(sample.labels.items())) for sample in now}
        gone = [sample for sample in before if (sample.name, frozenset(sample.labels.items())) not in served]
        self._add(process, [sample._replace(value=math.nan) for sample in gone])

    def _add(self, process: EyeProcess, samples: Sequence[Sample]) -> None:
        for sample in samples:
            labels = {**sample.labels, "instance": process.log.stem}
            self.store.add(sample.name, labels, self.second, sample.value)


def _samples(process: EyeProcess) -> list[Sample]:
    try:
        with urllib.request.urlopen(f"{process.url}/metrics", timeout=0.8) as answer:
            text = answer.read().decode()
    except OSError:
        return []
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def main() -> int:
    """Run the drill and draw what was seen."""
    directory = Path(tempfile.mkdtemp(prefix="eye-picture-"))
    with Ground(directory) as ground, Pipeline(_deployment(ground), streams=2, sinks=2) as pipeline:
        scraper = Scraper(pipeline.processes)
        traffic = Traffic(pipeline.gateway.url, 7, RATE)
        with scraper.scraping():
            traffic.start()
            marks = _drill(scraper, pipeline)
            traffic.finish()
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "dashboards" / "eye.json").read_text())
    picture = draw(dashboard, scraper.store, 5, scraper.second, marks)
    (ROOT / "docs" / "dashboard.svg").write_text(picture)
    print(f"{len(traffic.acknowledged):,} events acknowledged in {scraper.second} s; {marks}")
    shutil.rmtree(directory)
    return 0


def _deployment(ground: Ground) -> Settings:
    """Make a deployment whose topics have their usual names; the workers make them."""
    return ground.deployment("picture", topic_prefix="", group="")


def _drill(scraper: Scraper, pipeline: Pipeline) -> Mapping[float, str]:
    """Kill a stream worker and start it again; returns what happened when."""
    victim = pipeline.streams[0]
    _until(scraper, BEFORE_SECONDS)
    victim.kill()
    killed = scraper.second
    _until(scraper, killed + DEAD_SECONDS)
    victim.start()
    poll(victim.is_ready, 60, f"{victim.log.name} works again")
    back = scraper.second
    _until(scraper, back + AFTER_SECONDS)
    return {killed: "a stream worker is killed", back: "it works again"}


def _until(scraper: Scraper, second: int) -> None:
    poll(partial(_is_at, scraper, second), second + 60, f"second {second}")


def _is_at(scraper: Scraper, second: int) -> bool:
    return scraper.second >= second


if __name__ == "__main__":
    sys.exit(main())
