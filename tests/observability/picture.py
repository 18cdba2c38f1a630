"""A dashboard as a picture: Grafana's JSON, its expressions evaluated over series in memory, drawn as SVG."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from tests.observability.promql import Labels, Store, evaluate

RATE_SECONDS = 6
"""Value of `$__rate_interval` in pictures of series with a sample each second."""

_WIDTH, _HEIGHT, _TITLE, _LEGEND, _LEFT = 380, 110, 26, 34, 46
_COLOURS = (
    "#3274d9",
    "#e0752d",
    "#299c46",
    "#a352cc",
    "#d44a3a",
    "#8a7500",
    "#1f78c1",
    "#c15c17",
    "#64706b",
    "#b877d9",
)
_COLUMNS = 3

Lines = Mapping[str, Sequence[tuple[float, float]]]


def draw(dashboard: Mapping[str, Any], store: Store, start: int, end: int, marks: Mapping[float, str]) -> str:
    """Return the panels as one SVG: seconds from `start` to `end`; `marks` name what happened when."""
    parts: list[str] = []
    top, column = 0, 0
    below = _TITLE + _HEIGHT + _LEGEND + 16
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            top, column = top + (below if column else 0), 0
            parts.append(
                f'<text x="8" y="{top + 20}" font-size="15" font-weight="bold">{escape(panel["title"])}</text>'
            )
            top += 30
            continue
        if column == _COLUMNS:
            top, column = top + below, 0
        unit = panel["fieldConfig"]["defaults"]["unit"]
        lines = _lines(panel["targets"], store, start, end)
        parts.append(f'<g transform="translate({column * (_WIDTH + 16) + 8},{top})">')
        parts += _panel(panel["title"], unit, lines, start, end, marks)
        parts.append("</g>")
        column += 1
    size = f'width="{_COLUMNS * (_WIDTH + 16) + 8}" height="{top + below}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11" fill="#333">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>', *parts, "</svg>\n"])


def _lines(targets: Sequence[Mapping[str, str]], store: Store, start: int, end: int) -> Lines:
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for target in targets:
        expression = target["expr"].replace("$__rate_interval", f"{RATE_SECONDS}s")
        for second in range(start, end + 1):
            for labels, value in evaluate(store, expression, second).items():
                if math.isfinite(value):
                    found[_legend(target["legendFormat"], labels)].append((second, value))
    return found


def _legend(form: str, labels: Labels) -> str:
    known = dict(labels)
    return re.sub(r"\{\{(\w+)\}\}", lambda match: known.get(match[1], ""), form)


def _panel(title: str, unit: str, lines: Lines, start: int, end: int, marks: Mapping[float, str]) -> Iterator[str]:
    highest = max((value for points in lines.values() for _, value in points), default=0.0) * 1.1 or 1.0

    def x(second: float) -> float:
        return round(_LEFT + (second - start) / (end - start) * (_WIDTH - _LEFT), 1)

    def y(value: float) -> float:
        return round(_TITLE + _HEIGHT * (1 - value / highest), 1)

    yield f'<text x="{_LEFT}" y="16" font-weight="bold">{escape(title)}</text>'
    for share in (0, 0.5, 1):
        level = y(share * highest)
        yield f'<path d="M{_LEFT} {level}H{_WIDTH}" stroke="#ddd"/>'
        yield f'<text x="{_LEFT - 4}" y="{level + 4}" text-anchor="end">{_shown(share * highest, unit)}</text>'
    for second, what in marks.items():
        line = f'<path d="M{x(second)} {_TITLE}V{_TITLE + _HEIGHT}" stroke="#d44a3a" stroke-dasharray="3 3">'
        yield f"{line}<title>{escape(what)}</title></path>"
    for number, points in enumerate(lines.values()):
        colour = _COLOURS[number % len(_COLOURS)]
        yield f'<path d="{_path(points, x, y)}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
    yield from _names(list(lines))


def _path(points: Sequence[tuple[float, float]], x: Any, y: Any) -> str:
    """Return a line that is broken where a second has no value."""
    words, before = [], -math.inf
    for second, value in points:
        words.append(f"{'L' if second - before <= 1 else 'M'}{x(second)} {y(value)}")
        before = second
    return "".join(words)


def _names(names: Sequence[str]) -> Iterator[str]:
    left, row = 0.0, 0
    for number, name in enumerate(names):
        wide = 18 + 6.8 * len(name)
        if left and left + wide > _WIDTH:
            left, row = 0.0, row + 1
        top, colour = _TITLE + _HEIGHT + 16 + 13 * row, _COLOURS[number % len(_COLOURS)]
        yield f'<text x="{left:.0f}" y="{top}" fill="{colour}">■ {escape(name)}</text>'
        left += wide


def _shown(value: float, unit: str) -> str:
    """Write a value the short way."""
    match unit:
        case "bytes":
            return f"{value / 2**20:,.0f} MiB" if value < 2**30 else f"{value / 2**30:,.1f} GiB"
        case "percentunit":
            return f"{value:.0%}"
        case "s":
            return f"{value:.2g} s" if value >= 1 or value == 0 else f"{value * 1000:.3g} ms"
    return f"{value / 1000:,.3g}k" if value >= 1000 else f"{value:.3g}"
