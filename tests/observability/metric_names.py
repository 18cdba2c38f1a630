"""Every metric that the processes have, as their own registries tell."""

from __future__ import annotations

from faust.types import TP

from eye.runtime.process_metrics import process_registry
from gateway.metrics import Metrics
from schemas.settings import Settings
from sinks.metrics import SinkMetrics
from stream.metrics import StreamMetrics
from stream.runner.partitions import PartitionStatus
from stream.runner.status import PartitionCollector

_SUFFIXES = {"counter": "_total", "info": "_info"}


def metric_names() -> set[str]:
    """Return the families' names as Prometheus shows them; those of histograms without `_bucket` and its like."""
    settings = Settings()
    gateway, stream, sinks = (process_registry(name, settings) for name in ("gateway", "stream", "sinks"))
    Metrics(gateway)
    StreamMetrics(stream)
    SinkMetrics(sinks)
    stream.register(PartitionCollector(lambda: {TP("t", 0): PartitionStatus(0)}, lambda tp, position: 0))
    families = [family for registry in (gateway, stream, sinks) for family in registry.collect()]
    return {family.name + _SUFFIXES.get(family.type, "") for family in families}
