"""The places that were found to matter, each a promise."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.places.place import TABLES, Place

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
_NEEDED = "make,git,python3,ca-certificates,default-jre-headless,maven"
_NO_JAVA = "Kafka needs a Java runtime 17 or newer"
_NO_DOCKER = "exit 1"
_RUNTIMES = list(Path("/usr/lib/jvm").glob("*/bin/java"))
_WITHOUT_RUNTIMES = ("mount -t tmpfs tmpfs /usr/lib/jvm",) if _RUNTIMES else ()


def _interpreter(version: str) -> str | None:
    """Return a Python of that version that runs: of the PATH, or one that pyenv has. None without one."""
    versions = Path.home() / ".pyenv" / "versions"
    on_path = shutil.which(f"python{version}")
    for program in [on_path, *sorted(map(str, versions.glob(f"{version}.*/bin/python3")))]:
        if program and subprocess.run([program, "-c", ""], capture_output=True, check=False).returncode == 0:
            return program
    return None


def _python(version: str) -> Place:
    """Return the place with another Python, installed from nothing."""
    program = _interpreter(version)
    return Place(
        f"python-{version}",
        installed=False,
        arguments=(f"PYTHON={program}",),
        missing=lambda: None if program else f"python{version} is missing (Debian 12 has 3.11): put it on PATH",
    )


def _german(charset: str) -> Place:
    """Return the place with a German locale of that charset, made for it."""
    locale = f"de_DE.{charset}"
    return Place(
        f"german-{charset.lower()}",
        variables={"LC_ALL": locale, "LOCPATH": "{base}"},
        unshare=_MOUNT,
        mounts=(f'localedef -i de_DE -f {charset} "$base/{locale}"',),
        missing=lambda: None if Path("/usr/share/i18n/locales/de_DE").exists() else "install the package `locales`",
    )


def _debian(suite: str, packages: str) -> tuple[str, ...]:
    """Return the lines that go on in a Debian of that suite with these packages and nothing of this machine's."""
    return (
        f'debootstrap --variant=minbase --include={packages} {suite} "$base/debian" > "$base/log" || cat "$base/log"',
        'mount -t proc proc "$base/debian/proc"',
        'mount --rbind /dev "$base/debian/dev"',
        'mkdir -p "$base/debian$base"',
        'mount --bind "$base" "$base/debian$base"',
        'for file in resolv.conf hosts pip.conf; do ! [ -e "/etc/$file" ] || cp "/etc/$file" "$base/debian/etc"; done',
        'mkdir -p "$base/debian/etc/ssl/certs" && mount --bind /etc/ssl/certs "$base/debian/etc/ssl/certs"',
        'set -- chroot "$base/debian" "$@"',
    )


def _without_debootstrap() -> str | None:
    return None if shutil.which("debootstrap") else "install the package `debootstrap`"


_OLD = next(filter(None, map(_interpreter, ("3.10", "3.9", "3.8"))), None)

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
    Place("read-only-tmp", variables={"TMPDIR": None}, unshare=_MOUNT, mounts=("mount -t tmpfs -o ro tmpfs /tmp",)),
    Place(
        "user-without-a-name",
        user=True,
        unshare=_MOUNT,
        mounts=("grep -v ^eye /etc/passwd > $base/passwd", "mount --bind $base/passwd /etc/passwd"),
        says=("has none in /etc/passwd", "EYE_POSTGRES_DSN"),
        fails=True,
    ),
    Place(
        "root-without-capabilities",
        owner="root",
        mode=0o700,
        unshare=_MOUNT,
        mounts=(
            "mount -t tmpfs -o mode=755 tmpfs /var/lib",
            "mount -t tmpfs -o mode=755 tmpfs /var/cache",
            'set -- setpriv --bounding-set -setpcap,-dac_read_search "$@"',
        ),
        says=(*TABLES, "Its data is in /var/lib/the-eye/postgres-"),
    ),
    Place("odd-path", folder="the eye 100%20 für 日本"),
    Place("odd-path-in-c", folder="the eye 100%20 für 日本", variables={"LC_ALL": "C"}),
    Place("c-locale", variables={"LC_ALL": "C", "LANG": None}),
    _german("ISO-8859-1"),
    _german("UTF-8"),
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
        unshare=_MOUNT if _RUNTIMES else (),
        mounts=_WITHOUT_RUNTIMES,
        says=(_NO_JAVA, "/java is 11", "apt-get install default-jre-headless"),
        fails=True,
    ),
    Place(
        "java-11-beside-a-newer-one",
        programs={"java": "echo 'openjdk version \"11.0.2\" 2019-01-15' >&2"},
        variables={"JAVA_HOME": "/nonsense"},
        missing=lambda: None if _RUNTIMES else "no newer Java lies in /usr/lib/jvm",
    ),
    Place(
        "no-java",
        programs={"docker": _NO_DOCKER},
        variables={"JAVA_HOME": "{base}/nothing"},
        unshare=_MOUNT if _RUNTIMES else (),
        mounts=_WITHOUT_RUNTIMES,
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
    Place(
        "old-python",
        arguments=(f"PYTHON={_OLD}",),
        says=("needs Python 3.11 or newer", "make PYTHON=/path/to/python3"),
        fails=True,
        installed=False,
        missing=lambda: None if _OLD else "no Python 3.8 to 3.10 is here",
    ),
    Place("ordinary-user-from-nothing", user=True, mode=0o700, installed=False, arguments=("PYTHON=/usr/bin/python3",)),
    Place(
        "nonsense-from-nothing",
        installed=False,
        variables={**_NONSENSE, "XDG_CACHE_HOME": "{base}/cache", "JAVA_HOME": "/nonsense"},
    ),
    Place(
        "debian-13",
        installed=False,
        variables={"HOME": "/root", "JAVA_HOME": None},
        unshare=_MOUNT,
        mounts=_debian("trixie", f"{_NEEDED},python3-venv"),
        missing=_without_debootstrap,
    ),
    Place(
        "debian-13-without-venv",
        installed=False,
        variables={"HOME": "/root", "JAVA_HOME": None},
        unshare=_MOUNT,
        mounts=_debian("trixie", _NEEDED),
        says=("apt-get install python3-venv",),
        fails=True,
        missing=_without_debootstrap,
    ),
    Place(
        "debian-13-without-python",
        installed=False,
        variables={"HOME": "/root", "JAVA_HOME": None},
        unshare=_MOUNT,
        mounts=_debian("trixie", "make"),
        says=("apt-get install python3 python3-venv",),
        fails=True,
        missing=_without_debootstrap,
    ),
    _python("3.11"),
    _python("3.12"),
    _python("3.13"),
)
