"""The lines that docs/applications.md tells the users of an SDK to change, in the least program that uses it."""

from __future__ import annotations

import re
from enum import Enum

from tests.support.examples import ROOT


class Kind(Enum):
    """The kind of a program: the way it is run."""

    PYTHON = "python"
    NODE = "node"
    PAGE = "page"


PROGRAMS = {
    "segment-analytics-python": (
        Kind.PYTHON,
        'import segment.analytics as analytics\n{lines}\nanalytics.track("{user}", "Bought")\nanalytics.flush()\n',
    ),
    "rudder-sdk-python": (
        Kind.PYTHON,
        "import rudderstack.analytics as rudder_analytics\n{lines}\n"
        'rudder_analytics.track("{user}", "Bought")\nrudder_analytics.flush()\n',
    ),
    "posthog": (
        Kind.PYTHON,
        'import posthog\n{lines}\nposthog.capture("Bought", distinct_id="{user}")\nposthog.shutdown()\n',
    ),
    "@segment/analytics-node": (
        Kind.NODE,
        'import {{ Analytics }} from "@segment/analytics-node";\nconst client = new Analytics({{\n{lines}\n}});\n'
        'client.track({{ userId: "{user}", event: "Bought" }});\nawait client.closeAndFlush();\n',
    ),
    "@rudderstack/rudder-sdk-node": (
        Kind.NODE,
        'import Analytics from "@rudderstack/rudder-sdk-node";\n{lines}\n}});\n'
        'client.track({{ userId: "{user}", event: "Bought" }});\nawait client.flush();\nprocess.exit(0);\n',
    ),
    "posthog-node": (
        Kind.NODE,
        'import {{ PostHog }} from "posthog-node";\n{lines}\n}});\n'
        'client.capture({{ distinctId: "{user}", event: "Bought" }});\nawait client.shutdown();\n',
    ),
    "@segment/analytics-next": (
        Kind.PAGE,
        'import {{ AnalyticsBrowser }} from "@segment/analytics-next";\n'
        "const client = AnalyticsBrowser.load({{\n{lines}\n}});\n"
        'client.identify("{user}").then(() => client.track("Bought"));\n',
    ),
    "snowplow-tracker": (
        Kind.PYTHON,
        "from snowplow_tracker import Emitter, StructuredEvent, Subject, Tracker\n{lines}\n"
        'subject = Subject().set_user_id("{user}")\n'
        'tracker.track(StructuredEvent("shop", "Bought", event_subject=subject))\ntracker.flush()\n',
    ),
    "cloudevents": (
        Kind.PYTHON,
        "import requests\nfrom cloudevents.core.bindings.http import to_binary_event\n"
        "from cloudevents.core.v1.event import CloudEvent\n{lines}\n"
        'names = {{"id": "{user}", "source": "/shop", "type": "shop.Bought", "specversion": "1.0"}}\n'
        'message = to_binary_event(CloudEvent(names | {{"sessionid": "{user}", "userid": "{user}"}}, {{}}))\n'
        "requests.post(url, message.body, headers=message.headers | headers).raise_for_status()\n",
    ),
    "opentelemetry-exporter-otlp-proto-http": (
        Kind.PYTHON,
        "from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter\n"
        "from opentelemetry.sdk._logs import LoggerProvider\n"
        "from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor\n"
        "exporter = OTLPLogExporter(\n{lines}\n)\nprovider = LoggerProvider()\n"
        "provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))\n"
        'names = {{"session.id": "{user}", "user.id": "{user}"}}\n'
        'provider.get_logger("shop").emit(event_name="shop.Bought", attributes=names)\nprovider.shutdown()\n',
    ),
    "@snowplow/node-tracker": (
        Kind.NODE,
        'import {{ buildStructEvent, newTracker }} from "@snowplow/node-tracker";\n{lines}\n}});\n'
        'tracker.setUserId("{user}");\ntracker.track(buildStructEvent({{ category: "shop", action: "Bought" }}));\n'
        "await tracker.flush();\n",
    ),
    "cloudevents (npm)": (
        Kind.NODE,
        'import {{ CloudEvent, emitterFor, httpTransport }} from "cloudevents";\n{lines}\n'
        'const names = {{ source: "/shop", type: "shop.Bought", sessionid: "{user}", userid: "{user}" }};\n'
        "await emitterFor(httpTransport(url))(new CloudEvent({{ ...names, data: {{}} }}), {{ headers }});\n",
    ),
    "@opentelemetry/exporter-logs-otlp-http": (
        Kind.NODE,
        'import {{ OTLPLogExporter }} from "@opentelemetry/exporter-logs-otlp-http";\n'
        'import {{ LoggerProvider, SimpleLogRecordProcessor }} from "@opentelemetry/sdk-logs";\n'
        "const exporter = new OTLPLogExporter({{\n{lines}\n}});\n"
        "const provider = new LoggerProvider({{ processors: [new SimpleLogRecordProcessor({{ exporter }})] }});\n"
        'const attributes = {{ "session.id": "{user}", "user.id": "{user}" }};\n'
        'provider.getLogger("shop").emit({{ eventName: "shop.Bought", attributes }});\nawait provider.shutdown();\n',
    ),
    "@snowplow/browser-tracker": (
        Kind.PAGE,
        'import {{ newTracker, setUserId, trackStructEvent }} from "@snowplow/browser-tracker";\n{lines}\n}});\n'
        'setUserId("{user}");\ntrackStructEvent({{ category: "shop", action: "Bought" }});\n',
    ),
}
"""The kind of a program and its text around the lines, by the package as the table names it."""

_ROW = re.compile(r"^\| `(?P<package>[^`|]+)`[^|]*\| (?P<lines>`[^|]*`) \|$", re.M)


def told() -> dict[str, list[str]]:
    """Return the lines that the table tells to change, by package."""
    text = (ROOT / "docs" / "applications.md").read_text()
    table = text.partition("| you use | set |\n")[2].partition("\n\n")[0]
    return {row["package"]: re.findall("`([^`]+)`", row["lines"]) for row in _ROW.finditer(table)}


def program(package: str, lines: str, user: str) -> str:
    """Return the program of a package with its lines in it; it sends an event of a user."""
    return PROGRAMS[package][1].format(lines=lines, user=user)
