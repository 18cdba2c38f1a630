"""Rejected events by reason, and a way to mend them: steps, a dry run, the redrive."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from nicegui import ui

from eye.console import mending
from eye.console.desk import Desk
from eye.console.frame import add_page, attempt
from eye.console.jobs import Job
from eye.console.mending import Group
from eye.console.texts import sendable, table, text_block, when
from eye.console.violations_view import annotated
from eye.console.visitors import Visitor
from eye.redrive.describe import describe
from eye.redrive.transform import Step, parse_steps
from schemas.timestamp import parse_time

_NEWEST = 1_000
_SAMPLES = 3
_WATCH_SECONDS = 0.5
_GROUPS = {"code": "code", "type": "event type", "count": "events", "show": ""}
_PATHS = {"path": "place", "count": "events", "message": "for example"}
_SHOW = """<q-td :props="props"><q-btn dense flat no-caps label="look"
:aria-label="'look at ' + props.row.code + ' of ' + props.row.type" @click="$parent.$emit('show', props.row['#'])" />
</q-td>"""


def add(desk: Desk) -> None:
    """Add the page."""
    add_page(desk, "/rejected", "Rejected", _build)


async def _build(desk: Desk, visitor: Visitor, _: Mapping[str, str]) -> None:
    groups: list[Group] = []

    async def read() -> None:
        begin = parse_time(since.value) if since.value.strip() else None
        end = datetime.now(UTC)
        found = await desk.gateway.get(visitor.key, "/errors/summary", **{"from": begin.isoformat() if begin else None})
        groups[:] = [Group(one["code"], one["category"], one["name"], begin, end) for one in found["counts"]]
        shown.rows = [
            {"#": number, "code": one["code"], "type": _type(one), "count": one["count"]}
            for number, one in enumerate(found["counts"])
        ]
        details.clear()

    async def look(number: int) -> None:
        details.clear()
        with details:
            await _Details(desk, visitor, groups[number]).show()

    with ui.element("div").classes("eye-row"):
        since = ui.input("Since, like 3d, 2h or 2026-01-31", value="7d")
        ui.button("Read again", on_click=lambda: attempt(desk, visitor, read))
    shown = table(_GROUPS, [], per_page=20)
    shown.add_slot("body-cell-show", _SHOW)
    shown.on("show", lambda event: attempt(desk, visitor, lambda: look(int(event.args))))
    details = ui.column().classes("eye-wide")
    await read()


def _type(found: Mapping[str, Any]) -> str:
    return f"{found['category'] or '?'} / {found['name'] or '?'}"


class _Details:
    """What is known of one group, and its mending for whoever may."""

    def __init__(self, desk: Desk, visitor: Visitor, group: Group) -> None:
        self._desk, self._visitor, self._group = desk, visitor, group
        self._tried: tuple[list[Step], int] | None = None
        self._job: Job | None = None

    async def show(self) -> None:
        """Show places and samples of the newest events of the group."""
        group = self._group
        terms = {"code": group.code, "category": group.category, "name": group.name, "to": group.end.isoformat()}
        begin = group.begin.isoformat() if group.begin else None
        found = await self._desk.gateway.get(
            self._visitor.key, "/errors", order="desc", limit=_NEWEST, **terms, **{"from": begin}
        )
        errors = found["errors"]
        places = self._places(errors)
        ui.label(f"{group.code}: places in the newest {len(errors):,} events").style("font-size: 1.1rem")
        table(_PATHS, places, per_page=10)
        for event in errors[:_SAMPLES]:
            title = f"{event['event_id']} of {event['application']}, received {when(event['received_at'])}"
            with ui.expansion(sendable(title)).classes("eye-wide"):
                for line in annotated(_raw(event), event["errors"]):
                    text_block(line.text).classes("eye-bad" if line.faulty else "").style("line-height: 1.2")
                ui.link("Trace", f"/trace?id={quote(event['event_id'], safe='')}")
        if self._visitor.is_admin:
            self._offer(str(places[0]["path"]) if places else "$.data")
        else:
            ui.label("To mend these events log in with a key of scope admin.")

    def _places(self, errors: Sequence[Mapping[str, Any]]) -> list[dict[str, str | int]]:
        said = [(one["path"], one["message"]) for event in errors for one in event["errors"] if self._is_ours(one)]
        messages = dict(reversed(said))
        counts = Counter(path for path, _ in said).most_common()
        return [{"path": path, "count": count, "message": messages[path]} for path, count in counts]

    def _is_ours(self, violation: Mapping[str, Any]) -> bool:
        return bool(violation["code"] == self._group.code)

    def _offer(self, path: str) -> None:
        """Offer steps, their dry run, and the redrive."""
        example = [{"op": "set", "path": mending.pointer_of(path), "value": ""}]
        self._steps = ui.textarea("Steps (op is set, remove or rename); [] judges them again as they are")
        self._steps.set_value(json.dumps(example, indent=1))
        self._steps.classes("eye-wide").props("input-class=eye-text autogrow")
        ui.button("Try, without changing anything", on_click=lambda: self._attempt(self._try))
        self._result = ui.column().classes("eye-wide")

    async def _attempt(self, work: Any) -> None:
        await attempt(self._desk, self._visitor, work, admin=True)

    async def _try(self) -> None:
        self._tried = None
        self._result.clear()
        steps = parse_steps(self._steps.value)
        found = await mending.dry_run(self._desk, self._group, steps)
        number = mending.number_tried(found)
        self._tried = steps, number
        with self._result:
            for kind, count in sorted(found.kinds.items()):
                ui.label(f"{kind}: {count:,} events")
            for sample in found.sample:
                with ui.card().classes("eye-wide"):
                    for line in describe(sample):
                        text_block(sendable(line)).style("line-height: 1.2")
            if number:
                with ui.element("div").classes("eye-row"):
                    self._typed = ui.input(f"Type {number} to confirm")
                    self._apply_button = ui.button("Apply", on_click=lambda: self._attempt(self._apply))

    async def _apply(self) -> None:
        if self._tried is None:
            return
        steps, number = self._tried
        self._job = await mending.apply(self._desk, self._visitor, self._group, steps, number, self._typed.value)
        self._tried = None
        self._apply_button.disable()
        with self._result:
            state = ui.label().props("role=status")
            timer = ui.timer(_WATCH_SECONDS, lambda: self._watch(state, timer))

    def _watch(self, state: ui.label, timer: ui.timer) -> None:
        assert self._job is not None
        state.set_text(str(self._job))
        if self._job.is_over:
            timer.cancel()


def _raw(event: Mapping[str, Any]) -> Any:
    """Return a rejected event as it came: as JSON where it is, else as text."""
    try:
        return json.loads(event["raw"])
    except (ValueError, RecursionError):
        return event["raw"]
