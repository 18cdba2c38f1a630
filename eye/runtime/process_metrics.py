"""Metrics that every process has: its build, its use of CPU and memory, and the free space on its disks."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from prometheus_client import CollectorRegistry, Info, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from eye.operations.disk import disk_space
from schemas.settings import Settings


def process_registry(component: str, settings: Settings) -> CollectorRegistry:
    """Return a registry for one process; `component` is gateway, stream or sinks."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    build = Info("eye_build", "What runs here.", registry=registry)
    build.info({"component": component, "version": version("the-eye"), "python": platform.python_version()})
    disks = {"data": settings.data_dir}
    if component == "gateway":
        disks["spool"] = settings.spool_directory
    registry.register(DiskCollector(disks))
    return registry


class DiskCollector(Collector):
    """The disks that directories are on, asked for at each scrape; one that can't be read is left out."""

    def __init__(self, directories: Mapping[str, Path]) -> None:
        self._directories = directories

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield free bytes and size of each."""
        free = GaugeMetricFamily("eye_disk_free_bytes", "Room left for us on a directory's disk.", labels=["what"])
        size = GaugeMetricFamily("eye_disk_size_bytes", "Size of a directory's disk.", labels=["what"])
        for what, directory in self._directories.items():
            with suppress(OSError):
                room = disk_space(directory)
                free.add_metric([what], room.free)
                size.add_metric([what], room.size)
        return [free, size]
