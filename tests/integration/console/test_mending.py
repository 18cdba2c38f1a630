"""Rejected events are mended by whoever may change data, and by nobody else."""

from __future__ import annotations

import hashlib
import json
from functools import partial

import pytest
from playwright.async_api import expect

from eye.operations.keys import add_key, revoke_key
from tests.integration.console.tab import ADMIN_KEY, READ_KEY, Console, Tab
from tests.integration.gateway.test_json_builders import eventually
from tests.support.pipeline import an_event

pytestmark = pytest.mark.timeout(300)

GROUP = "look at missing_field of page interaction / cta click"


async def test_a_rejected_group_is_mended_and_gone(console: Console, tab: Tab) -> None:
    broken = [an_event(name="cta click", data={"host": "h", "path": "/"}) for _ in range(3)]
    await console.store(*broken)

    await tab.log_in(ADMIN_KEY, "/rejected")
    await tab.page.get_by_role("button", name=GROUP).click()
    steps = tab.page.get_by_label("Steps (op is")
    await expect(steps).to_have_value('[\n {\n  "op": "set",\n  "path": "/data/element",\n  "value": ""\n }\n]')
    await steps.fill(json.dumps([{"op": "set", "path": "/data/element", "value": "unknown"}]))
    await tab.page.get_by_role("button", name="Try, without").click()
    await tab.shows("rejected -> accepted: 3 events")
    await tab.shows('+    "element": "unknown"')
    await tab.page.get_by_label("Type 3 to confirm").fill("2")
    await tab.page.get_by_role("button", name="Apply").click()
    await tab.shows("Type the number of events that will be tried, 3, to confirm.")
    _, untouched = await console.pipeline.get(f"/events/{broken[0]['event_id']}")
    await tab.page.get_by_label("Type 3 to confirm").fill("3")
    await tab.page.get_by_role("button", name="Apply").click()
    await tab.shows("done, 3 tried, 3 became events; rows expected 3, present 3, twice 0: proven")
    await tab.page.get_by_role("button", name="Read again").click()
    await expect(tab.page.get_by_role("button", name=GROUP)).to_have_count(0)
    _, mended = await console.pipeline.get(f"/events/{broken[0]['event_id']}")

    assert untouched["status"] == "rejected"
    assert mended["data"]["element"] == "unknown"
    assert "redrive of rejected events, from time" in console.process.log.read_text()


async def test_a_key_that_was_revoked_changes_nothing_more(console: Console, tab: Tab) -> None:
    applications = console.pipeline.settings.applications_file
    key = add_key(applications, "shop", ["read", "admin"])
    await console.store(an_event(name="submit", category="form interaction", data={}))
    await eventually(partial(console.knows, key))

    await tab.log_in(key, "/rejected")
    await tab.page.get_by_role("button", name="form interaction / submit").first.click()
    await tab.page.get_by_role("button", name="Try, without").wait_for()
    revoke_key(applications, hashlib.sha256(key.encode()).hexdigest())
    await eventually(partial(console.forgets, key))
    await tab.page.get_by_role("button", name="Try, without").click()
    await tab.shows("The key can't be verified: This key is not known.")

    assert await tab.page.get_by_text("rejected -> rejected").count() == 0


async def test_steps_that_are_none_are_refused_in_a_sentence(console: Console, tab: Tab) -> None:
    await console.store(an_event(name="submit", category="form interaction", data={}))

    await tab.log_in(ADMIN_KEY, "/rejected")
    await tab.page.get_by_role("button", name="form interaction / submit").first.click()
    await tab.page.get_by_label("Steps (op is").fill('[{"op": "set", "path": "/session_id", "value": 1}]')
    await tab.page.get_by_role("button", name="Try, without").click()
    await tab.shows("/session_id can't be changed")


async def test_a_key_that_reads_is_offered_no_mending(console: Console, tab: Tab) -> None:
    await console.store(an_event(name="submit", category="form interaction", data={}))

    await tab.log_in(READ_KEY, "/rejected")
    await tab.page.get_by_role("button", name="form interaction / submit").first.click()
    await tab.shows("log in with a key of scope admin")

    assert await tab.page.get_by_role("button", name="Try, without").count() == 0
