"""The delivery's promise, over many pages; `--page-lives 1000` is the long form."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from clients.browser.tests.page_lives import live_and_end
from clients.browser.tests.site import Site
from tests.support.door import Door
from tests.support.pipeline import Pipeline


@pytest.mark.timeout(3600)
async def test_events_of_pages_that_end_anyhow_are_stored_once(
    the_eye: Pipeline, site: Site, door: Door, pytestconfig: pytest.Config
) -> None:
    tally = await live_and_end(pytestconfig.getoption("--page-lives"), the_eye.settings, site, door)

    print(asdict(tally))
    assert tally.told > tally.lives
    assert (tally.once, tally.duplicates, tally.rejected) == (tally.told, 0, 0)
    assert tally.disturbed
