"""Report of the measurements: a table, JSON and a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from pathlib import Path

from rich.console import Console
from rich.table import Table

_BAR, _GAP, _LABEL, _WIDTH = 18, 8, 330, 420


@dataclass(frozen=True)
class Result:
    """One row of the table: a figure, its reference from the same run, and its target.

    `met` is None where nothing was promised. `samples` are the figures of each repetition.
    """

    stage: str
    what: str
    figure: str
    reference: str = ""
    target: str = ""
    met: bool | None = None
    samples: dict[str, list[float]] = field(default_factory=dict)


def show(results: Sequence[Result]) -> None:
    """Print the table."""
    table = Table(title="The Eye, measured")
    for heading in ("stage", "what", "figure", "reference", "target", ""):
        table.add_column(heading, overflow="fold")
    for result in results:
        met = {True: "met", False: "MISSED", None: ""}[result.met]
        table.add_row(result.stage, result.what, result.figure, result.reference, result.target, met)
    Console(width=160).print(table)


def write(results: Sequence[Result], directory: Path) -> None:
    """Write `results.json`, and `results.svg` with every rate and every latency as a bar."""
    rows = [asdict(result) for result in results]
    (directory / "results.json").write_text(json.dumps(rows, indent=2) + "\n")
    bars = [
        (f"{result.stage}: {name}", values)
        for result in results
        for name, values in result.samples.items()
        if name.endswith(("/s", " ms"))
    ]
    rates = _bars([(label, values) for label, values in bars if label.endswith("/s")])
    latencies = _bars([(label, values) for label, values in bars if label.endswith(" ms")])
    (directory / "results.svg").write_text(_picture([("Throughput", rates), ("Latency", latencies)]))


def _bars(bars: Sequence[tuple[str, list[float]]]) -> list[tuple[str, float, float]]:
    """Return for each bar its label, its median and its length, as a share of the longest."""
    medians = [(label, sorted(values)[len(values) // 2]) for label, values in bars]
    longest = max((value for _, value in medians), default=1.0)
    return [(label, value, value / longest) for label, value in medians]


def _picture(charts: Sequence[tuple[str, list[tuple[str, float, float]]]]) -> str:
    lines, top = [], 30
    for title, bars in charts:
        lines.append(f'<text x="10" y="{top}" font-size="16" font-weight="bold">{title}</text>')
        top += 14
        for label, value, share in bars:
            middle = top + _BAR - 5
            length = max(1, round(share * _WIDTH))
            lines.append(f'<text x="{_LABEL - 8}" y="{middle}" text-anchor="end">{escape(label)}</text>')
            lines.append(f'<rect x="{_LABEL}" y="{top}" width="{length}" height="{_BAR}" fill="#3b6ea5"/>')
            lines.append(f'<text x="{_LABEL + length + 6}" y="{middle}">{value:,.1f}</text>')
            top += _BAR + _GAP
        top += 36
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LABEL + _WIDTH + 120}" height="{top}"'
    return f'{head} font-family="sans-serif" font-size="12">\n' + "\n".join(lines) + "\n</svg>\n"
