"""A running pipeline for the vendors' SDKs, and their packages from npm."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients.browser.tests.tools import npm
from eye.local.remembered_settings import free_port
from tests.conftest import KEY, fresh_database, fresh_settings
from tests.integration.formats.delivery import OUTAGE, Senders
from tests.support.pipeline import Pipeline
from tests.support.servers import Infra, SharedKafka, SharedPostgres

PUBLIC_KEY = "public-key"
"""A key that may stand in a page."""

NODE = Path(__file__).parent / "node"


@pytest.fixture(scope="session")
def page_port() -> int:
    """Return the port of the pages whose origin may send."""
    return free_port()


@pytest.fixture(scope="session")
def senders(
    infra: Infra,
    postgres: SharedPostgres,
    page_port: int,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Senders]:
    """Run gateway, stream and sinks that accept any event type, on a Kafka of their own where it is to be stopped."""
    directory = tmp_path_factory.mktemp("senders")
    own = infra.make_kafka(directory / "kafka", None) if OUTAGE else None
    if own is None:
        shared: SharedKafka = request.getfixturevalue("kafka")
    else:
        own.start()
        shared = SharedKafka(own.bootstrap_servers)
    try:
        with fresh_database(postgres) as dsn:
            settings = fresh_settings(shared, dsn, directory)
            settings.applications_file.write_text(_applications(page_port))
            with Pipeline(settings.model_copy(update={"unknown_event_types": "accept"})) as pipeline:
                yield Senders(pipeline, own)
    finally:
        if own is not None:
            own.stop()


def _applications(port: int) -> str:
    """Return an applications.toml with a key of servers, and one of pages on a port of this machine."""
    keys = ((KEY, 'scopes = ["write", "read"]'), (PUBLIC_KEY, 'scopes = ["write"], public = true'))
    entries = ", ".join(f'{{ sha256 = "{hashlib.sha256(key.encode()).hexdigest()}", {rest} }}' for key, rest in keys)
    return f'[[applications]]\nid = "shop"\norigins = ["http://127.0.0.1:{port}"]\nkeys = [{entries}]\n'


@pytest.fixture(scope="session")
def node() -> str:
    """Return the path of Node, with the SDKs installed; without it a test is skipped, and says so."""
    found = shutil.which("node")
    if found is None or shutil.which("npm") is None:
        pytest.skip("node or npm is missing, so the SDKs for Node are not tried: `apt-get install nodejs npm`")
    _install()
    return found


def _install() -> None:
    """Install what package-lock.json says, unless that is done."""
    wanted = hashlib.sha256((NODE / "package-lock.json").read_bytes()).hexdigest()
    stamp = NODE / "node_modules" / ".installed"
    with (NODE / "package.json").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # other test processes do the same
        if not stamp.is_file() or stamp.read_text() != wanted:
            npm("ci", "--no-audit", "--no-fund", "--ignore-scripts", directory=NODE)
            stamp.write_text(wanted)
