"""A certificate authority, and a gateway that it trusts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.settings import Settings
from tests.integration.gateway.https.https_gateway import deploy, running
from tests.support.certificates import Authority
from tests.support.pipeline import EyeProcess


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Lend an authority that signs the gateway's certificates."""
    return Authority(tmp_path_factory.mktemp("tls") / "authority")


@pytest.fixture
def deployment(tmp_path: Path, authority: Authority) -> Settings:
    """Return the settings of a gateway of the test's own."""
    return deploy(tmp_path, authority)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[EyeProcess]:
    """Lend a gateway that speaks HTTPS, for tests that leave it as it is."""
    with running(deploy(tmp_path_factory.mktemp("shared"), authority)) as process:
        yield process
