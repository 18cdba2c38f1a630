"""The client sends page views, marked clicks and marked forms by itself."""

from __future__ import annotations

from typing import Any

from playwright.async_api import Browser, Page, Playwright

from clients.browser.tests.site import Site
from clients.browser.tests.tools import FLAGS, find_chromium
from clients.browser.tests.waiting import delivered
from tests.support.door import Door
from tests.support.pipeline import Pipeline
from tests.support.stored import rows_of

FORM = """
<form data-eye-form onsubmit="return false">
  <input name="first_name" data-eye-field value="Ada">
  <input name="last_name" data-eye-field="family_name" value="Lovelace">
  <input name="email" value="ada@shop.example">
  <input name="secret" type="password" data-eye-field value="hidden">
  <input name="terms" type="checkbox" data-eye-field checked>
  <input name="news" type="checkbox" data-eye-field>
  <select name="sizes" multiple data-eye-field><option selected>S<option>M<option selected>L</select>
  <button>Send</button>
</form>
<form id="unmarked" onsubmit="return false">
  <input name="a" data-eye-field value="b">
  <button id="other">Send</button>
</form>
"""


def paths(events: list[dict[str, Any]]) -> list[str]:
    return [event["data"]["path"] for event in events]


async def test_a_page_view_is_stored(the_eye: Pipeline, site: Site, door: Door, page: Page) -> None:
    await page.goto(f"{site.url}/shoes?utm_source=letter&token=secret", referer="http://news.example/today?reader=7")
    await delivered(page)

    [view] = door.events("pageview")
    [row] = await rows_of(the_eye.settings, [view["event_id"]])
    assert (row["category"], row["data"]) == ("page interaction", {"host": site.url[7:], "path": "/shoes"})
    assert (
        row["context"]
        == view["context"]
        == {
            "library": {"name": "the-eye-browser", "version": "0.1.0"},
            "page": {"host": site.url[7:], "path": "/shoes", "referrer": "http://news.example/today"},
            "campaign": {"source": "letter"},
        }
    )


async def test_a_new_path_of_the_same_page_is_a_view(site: Site, door: Door, page: Page) -> None:
    await page.goto(site.url)

    await page.evaluate("history.pushState({}, '', '/a')")
    await page.evaluate("history.replaceState({}, '', '/a?sort=price')")
    await page.evaluate("history.pushState({}, '', '/b')")
    await page.go_back()
    await page.evaluate("click('last')")
    await delivered(page)

    assert paths(door.events("pageview")) == ["/", "/a", "/b", "/a"]


async def test_the_page_says_what_its_path_is(site: Site, door: Door, page: Page) -> None:
    site.page = """<!doctype html><script type="module">
        import * as eye from "/eye.js";
        window.eye = eye;
        eye.init({{ url: "{body}", key: "public-key", path: ({{ hash }}) => hash || "#home" }});
        </script>"""
    site.body = door.url
    await page.goto(site.url)

    await page.evaluate("location.hash = 'cart'")
    await page.wait_for_function("eye.send('a', 'b')")
    await delivered(page)

    assert paths(door.events("pageview")) == ["#home", "#cart"]


async def test_a_page_from_the_page_cache_is_viewed_again(playwright: Playwright, site: Site, door: Door) -> None:
    browser = await playwright.chromium.launch(
        executable_path=find_chromium(), args=FLAGS, ignore_default_args=["--disable-back-forward-cache"]
    )
    page = await browser.new_page()
    await page.goto(f"{site.url}/a")
    await delivered(page)
    await page.evaluate("window.stayed = true")
    await page.goto(f"{site.url}/b")
    await delivered(page)

    await page.evaluate("history.back()")
    await page.wait_for_function("window.stayed")
    await page.evaluate("click('back')")
    await delivered(page)

    assert paths(door.events("pageview")) == ["/a", "/b", "/a"]
    assert [event["data"]["element"] for event in door.events("cta click")] == ["back"]
    await browser.close()


async def test_a_marked_click_is_stored(the_eye: Pipeline, site: Site, door: Door, page: Page) -> None:
    site.body = '<button data-eye-click="buy"><b>Buy</b></button><button id="plain">No</button>'
    await page.goto(site.url)

    await page.click("b")
    await page.click("#plain")
    await delivered(page)

    [click] = door.events("cta click")
    [row] = await rows_of(the_eye.settings, [click["event_id"]])
    assert row["data"] == {"host": site.url[7:], "path": "/", "element": "buy"}


async def test_a_click_may_be_any_event(site: Site, door: Door, page: Page) -> None:
    site.body = """<a href="/next" data-eye-click data-eye-category="cart" data-eye-name="add"
        data-eye-data='{"sku": 7}'>Add</a>"""
    await page.goto(site.url)

    await page.click("a")
    await page.wait_for_url("**/next")
    await delivered(page)

    [added] = door.events("add")
    assert (added["category"], added["data"]) == ("cart", {"sku": 7})
    assert paths(door.events("pageview")) == ["/", "/next"]


async def test_a_click_inside_a_component_is_seen(site: Site, door: Door, page: Page) -> None:
    site.body = "<shop-button></shop-button>"
    site.script = """customElements.define("shop-button", class extends HTMLElement {
        connectedCallback() {
            this.attachShadow({ mode: "open" }).innerHTML = "<button data-eye-click='inner'>Buy</button>";
        }
    })"""
    await page.goto(site.url)

    await page.click("shop-button button")
    await delivered(page)

    assert [event["data"]["element"] for event in door.events("cta click")] == ["inner"]


async def test_a_form_sends_the_marked_fields_alone(the_eye: Pipeline, site: Site, door: Door, page: Page) -> None:
    site.body = FORM
    await page.goto(site.url)

    await page.click("text=Send >> nth=0")
    await page.click("#other")
    await delivered(page)

    [submitted] = door.events("submit")
    [row] = await rows_of(the_eye.settings, [submitted["event_id"]])
    assert row["category"] == "form interaction"
    assert row["data"]["form"] == {
        "first_name": "Ada",
        "family_name": "Lovelace",
        "terms": "on",
        "sizes": ["S", "L"],
    }


async def test_what_is_off_sends_nothing(site: Site, door: Door, page: Page) -> None:
    site.options |= {"pages": False, "clicks": False, "forms": False}
    site.body = f'<button id="buy" data-eye-click="buy">Buy</button>{FORM}'
    await page.goto(site.url)

    await page.click("#buy")
    await page.click("text=Send >> nth=0")
    await page.evaluate("click('own')")
    await delivered(page)

    assert [event["data"]["element"] for event in door.events()] == ["own"]


async def test_who_and_what_an_event_carries(site: Site, door: Door, page: Page) -> None:
    site.options |= {"userId": "u-1", "context": {"shop": 1}, "sessionId": "s-1", "pages": False}
    await page.goto(site.url)

    await page.evaluate("click('first')")
    await page.evaluate("eye.identify('u-2')")
    await page.evaluate(
        """eye.send("a", "b", {}, { context: { step: 2 }, schemaVersion: 3, timestamp: "2021-01-01 09:15:27" })"""
    )
    await page.evaluate("eye.identify()")
    await page.evaluate("click('last')")
    await delivered(page)

    first, second, last = door.events()
    assert (first["user_id"], second["user_id"], "user_id" in last) == ("u-1", "u-2", False)
    assert (second["schema_version"], second["timestamp"]) == (3, "2021-01-01 09:15:27")
    assert (second["context"]["shop"], second["context"]["step"]) == (1, 2)
    assert {event["session_id"] for event in door.events()} == {await page.evaluate("eye.session()")} == {"s-1"}


async def test_queued_calls_of_the_snippet_are_made(site: Site, door: Door, chromium: Browser) -> None:
    snippet = (site._client / "snippet.js").read_text().replace("GATEWAY/", "/")
    site.page = "<!doctype html><script>{body}</script>"
    site.body = f"""{snippet}
        var early = eye.send;
        eye.init({{ url: "{door.url}", key: "public-key", interval: 100, pages: false }});
        eye.send("page interaction", "cta click", {{ element: "before" }});
        var queued = new Date().toISOString();"""
    page = await chromium.new_page()
    await page.goto(site.url)

    await page.wait_for_function("eye.session()")
    await page.evaluate("early('page interaction', 'cta click', { element: 'kept' })")
    await page.evaluate("eye.send('page interaction', 'cta click', { element: 'after' })")
    await delivered(page)

    assert [event["data"]["element"] for event in door.events()] == ["before", "kept", "after"]
    assert door.events()[0]["timestamp"] <= await page.evaluate("queued")
