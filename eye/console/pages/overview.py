"""Overview: rates, lag, rejected events, spool, workers, and what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from nicegui import ui

from eye.console.desk import Desk
from eye.console.frame import add_page, attempt
from eye.console.metric_history import RATES, SAMPLE_SECONDS, Moment
from eye.console.texts import table
from eye.console.visitors import Visitor
from eye.operations.doctor.deployment import check_deployment

_DAY = timedelta(days=1)


def add(desk: Desk) -> None:
    """Add the page."""
    add_page(desk, "/", "Overview", _build)


async def _build(desk: Desk, visitor: Visitor, _: Mapping[str, str]) -> None:
    ui.label("Now, in events per second; kept for the last hour since the console started.")
    with ui.element("div").classes("eye-tiles"):
        numbers = {name: _tile(f"{name}, events/s") for name in RATES}
        lag, share, spool = _tile("most lag, seconds"), _tile("rejected share, last hour"), _tile("in spools, events")
    with ui.element("div").classes("eye-wide"):
        rates = ui.echart(_plot("events per second", RATES)).classes("eye-plot")
        lags = ui.echart(_plot("lag, seconds", ())).classes("eye-plot")
    workers = table({"process": "process", "state": "state"}, [])
    workers.props('title="Processes"')

    async def refresh() -> None:
        moments = list(desk.history.moments)
        if not moments:
            return
        last = moments[-1]
        for name, label in numbers.items():
            label.set_text(f"{last.rates.get(name, 0.0):,.1f}")
        lag.set_text(f"{max(last.lag_seconds.values(), default=0.0):,.1f}")
        share.set_text(_share(moments))
        spool.set_text(f"{last.spooled:,}")
        _draw(rates, moments, {name: [m.rates.get(name) for m in moments] for name in RATES})
        stages = sorted({stage for moment in moments for stage in moment.lag_seconds})
        _draw(lags, moments, {stage: [m.lag_seconds.get(stage) for m in moments] for stage in stages})
        workers.rows = [
            {"#": number, "process": url, "state": "answers" if answers else "does not answer"}
            for number, (url, answers) in enumerate(last.answering.items())
        ]

    await refresh()
    ui.timer(SAMPLE_SECONDS, lambda: attempt(desk, visitor, refresh))
    await _rejected(desk, visitor)
    _doctor(desk, visitor)


def _tile(title: str) -> ui.label:
    with ui.element("div").classes("eye-tile"):
        ui.label(title)
        return ui.label("-").classes("eye-number")


def _plot(title: str, names: Any) -> dict[str, Any]:
    return {
        "title": {"text": title, "left": 0, "textStyle": {"fontSize": 14, "color": "#888"}},
        "tooltip": {"trigger": "axis"},
        "legend": {"top": 0, "right": 0, "left": "35%", "type": "scroll", "textStyle": {"color": "#888"}},
        "grid": {"left": 48, "right": 16, "top": 48, "bottom": 28},
        "useUTC": True,
        "animation": False,
        "xAxis": {"type": "time"},
        "yAxis": {"type": "value", "min": 0},
        "series": [_series(name, []) for name in names],
    }


def _series(name: str, points: list[list[float | None]]) -> dict[str, Any]:
    return {"name": name, "type": "line", "showSymbol": False, "data": points}


def _draw(chart: ui.echart, moments: list[Moment], series: Mapping[str, list[float | None]]) -> None:
    times = [moment.at * 1000 for moment in moments]
    chart.options["series"] = [
        _series(
            name, [[at, None if value is None else round(value, 2)] for at, value in zip(times, values, strict=True)]
        )
        for name, values in series.items()
    ]
    chart.update()


def _share(moments: list[Moment]) -> str:
    """Return the share of judged events that were rejected."""
    rejected = sum(moment.rates.get("rejected", 0.0) for moment in moments)
    judged = rejected + sum(moment.rates.get("validated", 0.0) for moment in moments)
    return f"{rejected / judged:.2%}" if judged else "-"


async def _rejected(desk: Desk, visitor: Visitor) -> None:
    """Show the rejected events of a day, beside those of the day before."""
    now = datetime.now(UTC)
    spans = [(now - _DAY, now), (now - 2 * _DAY, now - _DAY)]
    counts = await asyncio.gather(
        *(
            desk.gateway.get(visitor.key, "/errors/summary", **{"from": begin.isoformat(), "to": end.isoformat()})
            for begin, end in spans
        )
    )
    today, before = ({(c["category"], c["name"], c["code"]): c["count"] for c in found["counts"]} for found in counts)
    rows = [
        {
            "type": " / ".join(str(part) if part is not None else "?" for part in kind[:2]),
            "code": kind[2],
            "today": today.get(kind, 0),
            "before": before.get(kind, 0),
            "change": f"{today.get(kind, 0) - before.get(kind, 0):+,}",
        }
        for kind in sorted({*today, *before}, key=lambda kind: -today.get(kind, 0))
    ]
    columns = {"type": "event type", "code": "code", "today": "last 24 h", "before": "24 h before", "change": "change"}
    table(columns, rows, per_page=10).props('title="Rejected events, still unmended"')


def _doctor(desk: Desk, visitor: Visitor) -> None:
    """Offer what `eye doctor` finds; it looks at everything, so it is asked for."""

    async def look() -> None:
        found.clear()
        button.props("loading")
        findings = await attempt(desk, visitor, lambda: asyncio.to_thread(check_deployment, desk.settings))
        button.props(remove="loading")
        if findings is None:
            return
        rows = [
            {"state": "ok" if f.ok else "WRONG", "what": f.what, "seen": f.seen, "mend": "" if f.ok else f.mend}
            for f in sorted(findings, key=lambda f: f.ok)
        ]
        wrong = sum(not f.ok for f in findings)
        with found:
            ui.label(f"{wrong} of {len(findings)} checks found something wrong.").classes("eye-bad" if wrong else "")
            table({"state": "", "what": "what", "seen": "seen", "mend": "what to do"}, rows)

    button = ui.button("Check the deployment", on_click=look)
    found = ui.element("div").classes("eye-wide")
