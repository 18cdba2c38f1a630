"""The environment that local servers and their clients get: without the variables of other programs."""

from __future__ import annotations

import os
import re

_JVM_OPTIONS = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH")
_FOREIGN = re.compile(r"PG[A-Z]+|KAFKA_\w+")


def without_jvm_options() -> dict[str, str]:
    """Return the environment without the variables that add options or classes to every JVM."""
    return {name: value for name, value in os.environ.items() if name not in _JVM_OPTIONS}


def drop_foreign_variables() -> None:
    """Remove PG* and KAFKA_* from this process's environment, and so from its children's.

    Called before a local PostgreSQL or Kafka is used. Its address, user and password are known, and libpq would take
    what a DSN does not say from variables that somebody set for another server.
    """
    for name in list(os.environ):
        if _FOREIGN.fullmatch(name):
            del os.environ[name]
