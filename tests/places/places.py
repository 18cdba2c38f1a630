"""The places that were found to matter, each a promise."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.places.place import Place

_PROXY = "http://127.0.0.1:9"  # nobody listens there
_MOUNT = ("--mount",)
_NONSENSE: dict[str, str | None] = {
    **dict.fromkeys(("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGPASSFILE", "PGSSLMODE", "PGOPTIONS"), "nonsense"),
    **dict.fromkeys(("PGCLIENTENCODING", "PGDATABASE", "PGUSER", "PGPASSWORD", "PGPORT", "PGTZ"), "nonsense"),
    **dict.fromkeys(("KAFKA_OPTS", "KAFKA_HEAP_OPTS", "KAFKA_LOG4J_OPTS", "KAFKA_BOOTSTRAP_SERVERS"), "nonsense"),
    **dict.fromkeys(("PYTHONHOME", "PYTHONPATH", "PYTHONWARNINGS", "PYTHONSTARTUP"), "nonsense"),
    **dict.fromkeys(("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"), "-Xnonsense"),
}
_PROXIES: dict[str, str | None] = {
    **dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"), _PROXY),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), None),
}
_NO_JAVA = "Kafka needs a Java runtime 17 or newer"
_NO_DOCKER = "exit 1"


def _python(version: str) -> Place:
    """Return the place with another Python, installed from nothing."""
    program = shutil.which(f"python{version}")
    return Place(
        f"python-{version}",
        installed=False,
        arguments=(f"PYTHON={program}",),
        missing=lambda: None if program else f"python{version} is missing: put it on the PATH",
    )


PLACES = (
    Place("root-home", parent=Path("/root"), owner="root", mode=0o700, arguments=()),
    Place("root-in-a-users-home", mode=0o700),
    Place("umask-077", umask=0o077, owner="root", mode=0o700),
    Place("ordinary-user", user=True, mode=0o700),
    Place("user-without-home", user=True, home=None, owner="root", mode=0o711, variables={"XDG_CACHE_HOME": None}),
    Place("read-only-home", user=True, owner="root", mode=0o555),
    Place(
        "noexec-tmp",
        variables={"TMPDIR": "{base}/tmp"},
        unshare=_MOUNT,
        mounts=('mkdir -m 1777 "$base/tmp"', "mount -t tmpfs -o noexec tmpfs /tmp"),
    ),
    Place("odd-path", folder="the eye 100%20 für 日本"),
    Place("odd-path-in-c", folder="the eye 100%20 für 日本", variables={"LC_ALL": "C"}),
    Place("c-locale", variables={"LC_ALL": "C", "LANG": None}),
    Place(
        "german-latin1",
        variables={"LC_ALL": "de_DE.ISO-8859-1", "LOCPATH": "{base}"},
        unshare=_MOUNT,
        mounts=('localedef -i de_DE -f ISO-8859-1 "$base/de_DE.ISO-8859-1"',),
        missing=lambda: None if Path("/usr/share/i18n/locales/de_DE").exists() else "install the package `locales`",
    ),
    Place("no-ipv6", unshare=("--net",), mounts=("ip link set lo up", "sysctl -qw net.ipv6.conf.all.disable_ipv6=1")),
    Place(
        "localhost-is-ipv6-first",
        unshare=_MOUNT,
        mounts=(
            'printf "::1 localhost\\n127.0.0.1 localhost\\n" > "$base/hosts"',
            'mount --bind "$base/hosts" /etc/hosts',
        ),
    ),
    Place("proxy", variables=_PROXIES),
    Place("nonsense-variables", variables=_NONSENSE),
    Place(
        "java-11",
        programs={"java": "echo 'openjdk version \"11.0.2\" 2019-01-15' >&2", "docker": _NO_DOCKER},
        variables={"JAVA_HOME": None},
        says=(_NO_JAVA, "apt-get install openjdk-17-jre-headless"),
        fails=True,
    ),
    Place(
        "no-java",
        programs={"docker": _NO_DOCKER},
        variables={"JAVA_HOME": "{base}/nothing"},
        says=(_NO_JAVA, "EYE_KAFKA_BOOTSTRAP_SERVERS"),
        fails=True,
    ),
    Place(
        "no-python",
        arguments=("PYTHON=python3-that-is-not-there",),
        says=("apt-get install python3 python3-venv",),
        fails=True,
        installed=False,
    ),
    Place(
        "no-venv",
        programs={"python3": 'case "$*" in *ensurepip*) exit 1 ;; esac\nexec /usr/bin/env -i /usr/bin/python3 "$@"'},
        arguments=("PYTHON=python3",),
        says=("apt-get install python3-venv",),
        fails=True,
        installed=False,
    ),
    Place(
        "all-at-once",
        folder="the eye 100%20 für 日本",
        owner="root",
        mode=0o700,
        umask=0o077,
        variables={**_NONSENSE, **_PROXIES, "LC_ALL": "C"},
    ),
    _python("3.12"),
    _python("3.13"),
)
