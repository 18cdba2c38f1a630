"""Kafka's own command line tools, run from the jars of the local broker."""

from __future__ import annotations

from collections.abc import Sequence

from eye.local.classpath import kafka_classpath
from eye.local.errors import LocalError
from eye.local.tools import find_java

TOOLS = {
    "configs": "kafka.admin.ConfigCommand",
    "console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "topics": "org.apache.kafka.tools.TopicCommand",
}
"""The tools by the names of their scripts, without `kafka-` before and `.sh` behind, and their classes."""


def tool_command(tool: str, bootstrap_servers: str, arguments: Sequence[str]) -> list[str]:
    """Return the command that runs a tool against these brokers.

    Raises LocalError for a name that is no tool's, MissingTool without Java, or without Maven the first time.
    """
    if tool not in TOOLS:
        raise LocalError(f"{tool} is none of Kafka's tools that are here: {', '.join(TOOLS)}")
    named = any(argument.startswith("--bootstrap-server") for argument in arguments)
    servers = [] if named else ["--bootstrap-server", bootstrap_servers]
    jvm = [find_java().path, "-XX:TieredStopAtLevel=1", "-Xmx256m", "-cp", kafka_classpath()]
    return [*jvm, TOOLS[tool], *servers, *arguments]
