"""An application that sends by an open protocol with its own SDK, started with: SDK URL KEY IDS SECONDS.

IDS is a file with a JSON array: an event for each id, spread over so many seconds. An SDK that makes ids itself has
them written, one a line, beside it. Ends with 0 when the SDK says that all events are delivered.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any, Literal

import requests

from tests.integration.formats.delivery import TOLD
from tests.integration.formats.senders import Event, failures, note, spread

SCHEMA = "iglu:com.acme.shop/order_completed/jsonschema/1-0-0"
Tell = Callable[[str], None]


def snowplow(method: Literal["get", "post"]) -> Callable[[str, str, Iterator[Event], Tell], None]:
    """Return the program that sends with snowplow-tracker, by GET or POST."""

    def send(url: str, key: str, events: Iterator[Event], tell: Tell) -> None:
        from snowplow_tracker.emitters import AsyncEmitter
        from snowplow_tracker.events.self_describing import SelfDescribing
        from snowplow_tracker.events.structured_event import StructuredEvent
        from snowplow_tracker.self_describing_json import SelfDescribingJson
        from snowplow_tracker.subject import Subject
        from snowplow_tracker.tracker import Tracker

        emitter = AsyncEmitter(url, method=method, max_retry_delay_seconds=2)
        tracker = Tracker("shop", emitter, app_id=key)
        for _, user, properties in events:
            subject = Subject().set_user_id(user).set_domain_session_id(f"{user}-session")
            event: Any = SelfDescribing(SelfDescribingJson(SCHEMA, properties), event_subject=subject)
            if properties["value"] == "\ud800":  # which the tracker can't put into base64, nor into a query
                label = properties["value"] if method == "post" else "plain"
                event = StructuredEvent("shop", "order completed", label, event_subject=subject)
            tell(tracker.track(event) or "")
        while emitter.event_store.size() or emitter.queue.unfinished_tasks:
            tracker.flush()
            time.sleep(0.1)

    return send


def cloudevents(url: str, key: str, events: Iterator[Event], _: Tell) -> None:
    """Send with cloudevents, in each mode of its two generations, and as bare JSON without a Content-Type."""
    from cloudevents.core.bindings.http import to_binary_event, to_structured_event
    from cloudevents.core.v1.event import CloudEvent
    from cloudevents.v1.conversion import to_json
    from cloudevents.v1.http import CloudEvent as FirstCloudEvent
    from cloudevents.v1.http import to_binary, to_structured

    def message(attributes: dict[str, Any], data: dict[str, Any], mode: str) -> tuple[dict[str, str], bytes]:
        match mode:
            case "binary":
                made = to_binary_event(CloudEvent(attributes, data))
                return made.headers, made.body
            case "structured":
                made = to_structured_event(CloudEvent(attributes, data))
                return made.headers, made.body
        first = FirstCloudEvent(attributes, data)
        headers, body = to_binary(first) if mode == "first binary" else to_structured(first)
        return (headers, body) if mode != "first json" else ({}, to_json(first))

    modes = cycle(["binary", "structured", "first binary", "first structured", "first json"])
    with requests.Session() as session:
        for (event_id, user, data), mode in zip(events, modes, strict=False):
            type_and_source = {"type": "com.acme.shop.ordered", "source": "/shop", "specversion": "1.0"}
            attributes = type_and_source | {"id": event_id, "sessionid": f"{user}-session", "userid": user}
            headers, body = message(attributes, data, mode)
            answer = session.post(f"{url}/events/", data=body, headers={**headers, "X-API-Key": key})
            if answer.status_code != 200 or answer.json()["accepted"] != 1:
                note(answer.text)


def otlp(url: str, key: str, events: Iterator[Event], _: Tell) -> None:
    """Send with opentelemetry-sdk and its OTLP exporter; values that it can't encode are left out."""
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExportResult

    class Exporter(OTLPLogExporter):
        def export(self, batch: Any) -> LogRecordExportResult:
            result = super().export(batch)
            if result is not LogRecordExportResult.SUCCESS:
                note(result)
            return result

    provider = LoggerProvider()
    exporter = Exporter(f"{url}/v1/logs", headers={"x-api-key": key}, compression=Compression.Gzip)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter, 500, max_queue_size=20_000))
    logger = provider.get_logger("shop", "1.0")
    for event_id, user, properties in events:
        names = {"event.id": event_id, "session.id": f"{user}-session", "user.id": user}
        sent = {name: "plain" if value in (2**70, "\ud800") else value for name, value in properties.items()}
        logger.emit(timestamp=time.time_ns(), event_name="com.acme.shop.ordered", attributes=names | sent)
    provider.shutdown()


SDKS = {
    "snowplow": snowplow("post"),
    "snowplow-get": snowplow("get"),
    "cloudevents": cloudevents,
    "otlp": otlp,
}


if __name__ == "__main__":
    name, url, key, file, seconds = sys.argv[1:]
    with Path(file).with_suffix(TOLD).open("a", buffering=1) as told:
        SDKS[name](
            url,
            key,
            spread(json.loads(Path(file).read_text()), float(seconds)),
            lambda event_id: print(event_id, file=told),
        )
    sys.exit(f"not delivered: {failures}" if failures else 0)
