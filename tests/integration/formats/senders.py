"""An application that sends with a vendor's own SDK, started with: SDK URL KEY IDS SECONDS.

IDS is a file with a JSON array: an event for each id, spread over so many seconds. Ends with 0 when the SDK says that
all of them are delivered.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HOSTILE = {5: float("nan"), 6: 2**70, 7: "a\0b", 8: "\ud800", 9: {"deep": [[[[{}]]]]}}
"""Values that each tenth event has among its properties."""

OTHER_CALLS = ("identify", "group", "page", "screen", "alias")
"""The calls of Segment's spec beside track."""

Event = tuple[str, str, dict[str, Any]]
"""The id of an event, the id of its user, and its properties."""

failures: list[object] = []


def note(error: object, _: object = None) -> None:
    """Keep what an SDK says that it could not deliver."""
    failures.append(error)


def call(client: Any, event_id: str, user: str, properties: dict[str, Any]) -> None:
    """Send a track; each tenth event is another call of the spec."""
    tens, number = divmod(properties["number"], 10)
    match OTHER_CALLS[tens % len(OTHER_CALLS)] if number == 4 else "track":
        case "identify":
            client.identify(user, properties, message_id=event_id)
        case "group":
            client.group(user, "group-1", properties, message_id=event_id)
        case "page":
            client.page(user, name="Home", properties=properties, message_id=event_id)
        case "screen":
            client.screen(user, name="Home", properties=properties, message_id=event_id)
        case "alias":
            client.alias("visitor-1", user, message_id=event_id)
        case _:
            client.track(user, "Order Completed", properties, message_id=event_id)


def segment(url: str, key: str, events: Iterator[Event]) -> None:
    """Send with segment-analytics-python."""
    from segment.analytics.client import Client

    client = Client(key, host=url, on_error=note, gzip=True)
    for event_id, user, properties in events:
        call(client, event_id, user, properties)
    client.shutdown()


def rudder(url: str, key: str, events: Iterator[Event]) -> None:
    """Send with rudder-sdk-python."""
    from rudderstack.analytics.client import Client

    client = Client(key, host=url, on_error=note)
    for event_id, user, properties in events:
        call(client, event_id, user, properties)
    client.flush()
    client.join()


def posthog(mode: str) -> Callable[[str, str, Iterator[Event]], None]:
    """Return the program that sends with posthog, in one of its capture modes."""

    def send(url: str, key: str, events: Iterator[Event]) -> None:
        from posthog import Posthog

        client = Posthog(key, host=url, on_error=note, capture_mode=mode, gzip=True, flush_interval=0.5)
        for event_id, user, properties in events:
            client.capture("Order Completed", distinct_id=user, properties=properties, uuid=event_id)
        client.flush()
        client.shutdown()

    return send


SDKS = {"segment": segment, "rudder": rudder, "posthog": posthog("v0"), "posthog-v1": posthog("v1")}


def spread(ids: list[str], seconds: float) -> Iterator[Event]:
    """Yield an event for each id, as long as so many seconds take."""
    for number, event_id in enumerate(ids):
        properties = {"number": number, "value": HOSTILE.get(number % 10, "plain")}
        yield event_id, f"user-{number % 7}", properties
        time.sleep(seconds / len(ids))


if __name__ == "__main__":
    name, url, key, file, seconds = sys.argv[1:]
    SDKS[name](url, key, spread(json.loads(Path(file).read_text()), float(seconds)))
    sys.exit(f"not delivered: {failures}" if failures else 0)
