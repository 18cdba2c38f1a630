"""Event counts per stage, read from the processes' metrics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from eye.local import local_http
from eye.local.stack import Stack


@dataclass(frozen=True, slots=True)
class Counts:
    """Events since the processes were started; `lag` is in messages, of spool, stream and sinks together."""

    received: int
    validated: int
    rejected: int
    duplicates: int
    stored: int
    lag: int
    spooled: int = 0

    def __str__(self) -> str:
        return (
            f"received {self.received:,}   validated {self.validated:,}   rejected {self.rejected:,}   "
            f"duplicates {self.duplicates:,}   stored {self.stored:,}   lag {self.lag:,}"
            + (f"   spooled {self.spooled:,}" if self.spooled else "")
        )


def read_counts(stack: Stack) -> Counts:
    """Ask every process for its metrics; what does not answer counts as 0."""
    gateway, stream, sinks = (list(_samples(f"{component.url}/metrics")) for component in stack.components)
    spooled = _sum(gateway, "eye_gateway_spool_records")
    return Counts(
        received=_sum(gateway, "eye_gateway_events_total", status="ok"),
        validated=_sum(stream, "eye_stream_events_total", verdict="accepted"),
        rejected=_sum(stream, "eye_stream_events_total", verdict="rejected"),
        duplicates=_sum(stream, "eye_stream_events_total", verdict="duplicate"),
        stored=_sum(sinks, "eye_sinks_rows_total", table="events")
        + _sum(sinks, "eye_sinks_rows_total", table="rejected_events"),
        lag=_sum(stream + sinks, "eye_partition_lag_messages") + spooled,
        spooled=spooled,
    )


def _samples(url: str) -> Iterator[Sample]:
    try:
        text = local_http.get(url)[1].decode()
    except OSError:
        return
    for family in text_string_to_metric_families(text):
        yield from family.samples


def _sum(samples: list[Sample], name: str, **labels: str) -> int:
    wanted = labels.items()
    return int(sum(s.value for s in samples if s.name == name and wanted <= s.labels.items()))
