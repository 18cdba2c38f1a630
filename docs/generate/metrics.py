"""The page of metrics, from the registries of the three processes."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, NamedTuple

from faust.types import TP
from prometheus_client import CollectorRegistry, Metric

from docs.generate.markdown import page, table
from docs.generate.notes import METRIC_NOTES
from eye.runtime.process_metrics import process_registry
from gateway.metrics import Metrics
from kafka_client.cluster_file import ClusterFile
from kafka_client.cluster_guard import ClusterGuard
from schemas.settings import Settings
from sinks.metrics import SinkMetrics
from stream.metrics import StreamMetrics
from stream.runner.partitions import PartitionStatus
from stream.runner.status import ClusterCollector, PartitionCollector

_SUFFIXES = {"counter": "_total", "info": "_info"}


class Family(NamedTuple):
    """One metric: its name as Prometheus shows it, what it holds, and the module that defines it."""

    name: str
    type: str
    labels: str
    meaning: str
    place: str


def metrics_page() -> str:
    """Return the page: each metric of The Eye, by the process that serves it."""
    settings = Settings()
    gateway, stream, sinks, every = (CollectorRegistry() for _ in range(4))
    Metrics(gateway)
    StreamMetrics(stream)
    SinkMetrics(sinks)
    every_family = [f for f in families(process_registry("gateway", settings)) if f.name.startswith("eye_")]
    every.register(PartitionCollector(lambda: {TP("t", 0): PartitionStatus(0)}, lambda tp, position: 0))
    every.register(ClusterCollector(ClusterGuard(ClusterFile(settings.data_dir, "events.raw"))))
    parts = [
        ("Gateway", families(gateway)),
        ("Stream", families(stream)),
        ("Sinks", families(sinks)),
        ("Stream and sinks", families(every)),
        ("Every process", every_family),
    ]
    tables = [f"## {title}\n\n{_table(found)}" for title, found in parts]
    return page(
        "Metrics",
        "The gateway serves `/metrics`; stream and sink workers do where `EYE_STREAM_PORT` and `EYE_SINKS_PORT`"
        " are set,"
        " with `/healthz` and `/readyz`.",
        *tables,
        "Every process also serves `process_cpu_seconds_total` and its like.",
        "Labels are bounded: by routes, codes, event types of the catalogue, tables, partitions, and the first 1,000"
        " applications. Of several gateways on one port a scrape meets any one: give each a port or a container of"
        " its own. Alert rules, dashboard, traces and logs: [observability](../observability.md).",
    )


def families(registry: CollectorRegistry) -> list[Family]:
    """Return what a registry serves, each family once, in the order of its definition."""
    collectors: dict[Any, None] = dict.fromkeys(registry._collector_to_names)
    return [_family(collector, metric) for collector in collectors for metric in _collected(collector)]


def _collected(collector: Any) -> Iterable[Metric]:
    found: Iterable[Metric] = collector.collect()
    return found


def _family(collector: Any, metric: Metric) -> Family:
    name = metric.name + _SUFFIXES.get(metric.type, "")
    labels: Iterable[str] = getattr(collector, "_labelnames", ())
    if not labels:
        labels = dict.fromkeys(label for sample in metric.samples for label in sample.labels if label != "le")
    meaning = METRIC_NOTES.get(name, metric.documentation)
    return Family(name, metric.type, ", ".join(f"`{label}`" for label in labels), meaning, _place(collector, name))


def _place(collector: Any, name: str) -> str:
    """Return the module of ours that names the metric."""
    ours = ("gateway.metrics", "stream.metrics", "sinks.metrics", type(collector).__module__, "stream.runner.status")
    for module in ours:
        loaded = sys.modules.get(module)
        if loaded is not None and loaded.__file__ and not module.startswith("prometheus"):
            with open(loaded.__file__) as source:
                if name.removesuffix("_info") in source.read():
                    return module.replace(".", "/") + ".py"
    return "eye/runtime/process_metrics.py"


def _table(found: Iterable[Family]) -> str:
    rows = [[f"`{f.name}`", f.type, f.labels, f.meaning, f"`{f.place}`"] for f in found]
    return table(["metric", "type", "labels", "meaning", "defined in"], rows)
