"""Catalogue, ledger, and keys that are made and revoked in the console."""

from __future__ import annotations

from functools import partial

import pytest
from playwright.async_api import expect

from tests.integration.console.tab import ADMIN_KEY, READ_KEY, Console, Tab
from tests.integration.gateway.test_json_builders import eventually
from tests.support.pipeline import an_event

pytestmark = pytest.mark.timeout(300)


async def test_a_key_is_made_used_and_revoked(console: Console, tab: Tab) -> None:
    await tab.log_in(ADMIN_KEY, "/keys")
    await tab.page.get_by_label("Application", exact=True).fill("till")
    await tab.page.get_by_role("button", name="Add a key").click()
    key = await tab.page.locator(".eye-text", has_text="eye_").inner_text()
    await eventually(partial(console.knows, key))
    row = tab.page.locator("tbody tr", has_text="till")
    await tab.page.get_by_label("Fingerprint of a key").fill(await row.locator("td").nth(1).inner_text())
    await tab.page.get_by_role("button", name="Revoke it").click()
    await tab.shows("Revoked: the gateways refuse the key")
    known = await console.knows(key)
    await expect(row).to_have_count(0)
    log = console.process.log.read_text()

    assert not known
    assert "a key of till is made, with write, by shop with key" in log
    assert key not in log


async def test_a_key_that_reads_is_offered_no_keys(tab: Tab) -> None:
    await tab.log_in(READ_KEY, "/keys")
    await tab.shows("log in with a key of scope admin")

    assert await tab.page.get_by_role("button", name="Add a key").count() == 0


async def test_the_catalogue_shows_the_schema_of_a_type(tab: Tab) -> None:
    await tab.log_in(READ_KEY, "/catalogue")
    await tab.page.get_by_role("button", name="schema of page interaction / cta click").click()

    await tab.shows('"element"')


async def test_the_ledger_balances_by_hour(console: Console, tab: Tab) -> None:
    await console.store(an_event(), an_event(data={}))
    await tab.log_in(READ_KEY, "/ledger")
    await tab.page.get_by_role("button", name="Balance").click()

    await tab.shows("The books balance.")
    await expect(tab.page.locator("tbody tr", has_text="shop")).to_contain_text(":00")
