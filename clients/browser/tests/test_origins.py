"""Pages without the client, from an allowed origin and from another one: plain fetch and beacon against the gateway."""

from __future__ import annotations

import json

import psycopg
from playwright.async_api import Page

from clients.browser.tests.site import KEY, Site
from tests.support.pipeline import Pipeline, an_event
from tests.support.stored import times_stored

SEND = """async ([url, key, events]) => {
    const [byHeader, byQuery, beacon] = events.map((event) => JSON.stringify(event));
    const sent = (...request) => fetch(...request).then((answer) => answer.status, () => "refused");
    return [
        await sent(`${url}/events/`, {method: "POST", body: byHeader,
            headers: {"Content-Type": "application/json", "X-API-Key": key}}),
        await sent(`${url}/events/?key=${key}`, {method: "POST", body: byQuery, keepalive: true}),
        navigator.sendBeacon(`${url}/events/?key=${key}`, beacon),
    ];
}"""


async def test_an_allowed_origin_sends_by_fetch_and_beacon(the_eye: Pipeline, site: Site, page: Page) -> None:
    events = [an_event(session_id="allowed") for _ in range(3)]
    await page.goto(site.url)

    answers = await page.evaluate(SEND, [the_eye.gateway.url, KEY, json.loads(json.dumps(events))])

    assert answers == [202, 202, True]
    assert await times_stored(the_eye.settings, [event["event_id"] for event in events]) == {1: 3}


async def test_another_origin_is_refused_each_way(the_eye: Pipeline, site: Site, page: Page) -> None:
    events, marker = [an_event(session_id="refused") for _ in range(3)], an_event(session_id="refused")
    await page.goto(site.url.replace("127.0.0.1", "other.example"))

    answers = await page.evaluate(SEND, [the_eye.gateway.url, KEY, events])
    await page.goto(site.url)
    await page.evaluate(SEND, [the_eye.gateway.url, KEY, [marker, an_event(), an_event()]])

    assert answers[:2] == ["refused", "refused"]
    assert await times_stored(the_eye.settings, [marker["event_id"]]) == {1: 1}
    with psycopg.connect(the_eye.settings.dsn) as connection:
        stored = connection.execute("select event_id::text from eye.events where session_id = 'refused'").fetchall()
    assert stored == [(marker["event_id"],)]
