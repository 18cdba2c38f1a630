"""The lines that docs/applications.md tells the users of an SDK to change, in the least program that uses it."""

from __future__ import annotations

import re
from enum import Enum

from tests.support.examples import ROOT


class Kind(Enum):
    """How a program is run."""

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
