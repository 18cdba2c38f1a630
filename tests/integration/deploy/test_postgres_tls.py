"""Postgres by TLS, its certificate verified. In a container: the wheel's server is built without TLS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr
from testcontainers.community.postgres import PostgresContainer

from eye.local.containers import POSTGRES_IMAGE
from schemas.settings import Settings
from sinks.postgres.migrate import migrate
from sinks.postgres.pool import lend, make_pool
from tests.support.certificates import Authority

pytestmark = pytest.mark.containers

START = (
    "install --owner postgres --mode 600 /certificates/postgres.key /tmp/server.key"
    " && exec docker-entrypoint.sh postgres -c ssl=on -c ssl_cert_file=/certificates/postgres.pem"
    " -c ssl_key_file=/tmp/server.key"
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("tls") / "certificates")
    made.sign("postgres")
    return made


@pytest.fixture(scope="module")
def dsn(authority: Authority) -> Iterator[str]:
    """Lend connection string that insists on TLS and on the authority's signature."""
    container = PostgresContainer(POSTGRES_IMAGE, username="eye", dbname="eye", driver=None)
    container.with_volume_mapping(str(authority.certificate.parent), "/certificates", "ro")
    with container.with_command(["bash", "-c", START]) as running:
        url = running.get_connection_url(host="127.0.0.1")
        yield make_conninfo(url, sslmode="verify-full", sslrootcert=str(authority.certificate))


async def test_migrations_and_sinks_talk_by_tls(dsn: str) -> None:
    await migrate(dsn)

    async with make_pool(Settings(postgres_dsn=SecretStr(dsn))) as pool, lend(pool) as connection:
        found = await connection.execute("select ssl, version from pg_stat_ssl where pid = pg_backend_pid()")
        assert await found.fetchone() == (True, "TLSv1.3")


async def test_a_server_that_another_authority_signed_is_refused(dsn: str, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other").certificate

    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        await migrate(make_conninfo(dsn, sslrootcert=str(other)))
