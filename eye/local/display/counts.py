"""Event counts per stage, read from the processes' metrics."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from eye.local import local_http
from eye.local.stack import Component, Stack


@dataclass(frozen=True, slots=True)
class Counts:
    """Events since `eye up` was started; `lag` is in messages, of spool, stream and sinks together."""

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


class CountsReader:
    """Reads the counts of a stack again and again; a total goes on where a process was started again."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._last: dict[str, int] = {}
        self._before: dict[str, int] = {}

    def read(self) -> Counts:
        """Ask every process for its metrics; of one that does not answer the last totals count."""
        gateway, stream, sinks = (_samples(component) for component in self._stack.components[:3])
        spooled = _sum(gateway or [], "eye_gateway_spool_records")
        verdicts = {
            verdict: self._total(verdict, stream, "eye_stream_events_total", verdict=verdict)
            for verdict in ("accepted", "rejected", "duplicate")
        }
        return Counts(
            received=self._total("received", gateway, "eye_gateway_events_total", status="ok"),
            validated=verdicts["accepted"],
            rejected=verdicts["rejected"],
            duplicates=verdicts["duplicate"],
            stored=sum(
                self._total(f"stored {table}", sinks, "eye_sinks_rows_total", table=table)
                for table in ("events", "rejected_events")
            ),
            lag=_sum([*(stream or []), *(sinks or [])], "eye_partition_lag_messages") + spooled,
            spooled=spooled,
        )

    def _total(self, key: str, samples: list[Sample] | None, name: str, **labels: str) -> int:
        """Return a counter's total over all starts of its process, which begins at 0 each time."""
        last = self._last.get(key, 0)
        if samples is not None:
            value = _sum(samples, name, **labels)
            if value < last:
                self._before[key] = self._before.get(key, 0) + last
            self._last[key] = last = value
        return self._before.get(key, 0) + last


def _samples(component: Component) -> list[Sample] | None:
    """Return a process's metrics, None where it does not answer."""
    try:
        text = local_http.get(f"{component.url}/metrics", component.context)[1].decode()
    except OSError:
        return None
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def _sum(samples: list[Sample], name: str, **labels: str) -> int:
    wanted = labels.items()
    return int(sum(s.value for s in samples if s.name == name and wanted <= s.labels.items()))
