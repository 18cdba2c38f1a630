"""The environment that local servers and their clients get: without the variables of other programs."""

from __future__ import annotations

import os

_PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LD_LIBRARY_PATH")
_JVM = ("JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "MAVEN_OPTS", "MAVEN_ARGS", "CLASSPATH")
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
"""The variables that name a proxy; in capitals they mean the same."""


def server_environment() -> dict[str, str]:
    """Return the variables that a Kafka or PostgreSQL of ours is started with.

    What the caller has set for other servers and their tools (KAFKA_, LOG4J_, PG, JAVA_TOOL_OPTIONS, a locale)
    is not among them. Paths are UTF-8 to the server, as they are to us.
    """
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return passed | {"LC_ALL": "C.UTF-8"}


def without_jvm_options() -> dict[str, str]:
    """Return our environment without the variables that put options on every Java program's command line."""
    return {name: value for name, value in os.environ.items() if name not in _JVM}


def drop_foreign_variables() -> None:
    """Remove PG* and KAFKA_* from this process's environment, and so from its children's.

    Called before a local PostgreSQL or Kafka is used. Its address, user and password are known, and libpq would take
    what a DSN does not say from variables that somebody set for another server.
    """
    for name in [name for name in os.environ if name.startswith(("PG", "KAFKA_"))]:
        del os.environ[name]
