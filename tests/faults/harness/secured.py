"""A secured Kafka and Postgres: TLS, SASL and ACLs, and a role for each part of The Eye."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from pydantic import SecretStr

from eye.local.classpath import kafka_classpath
from eye.local.postgres import LocalPostgres
from eye.local.tools import find_java
from eye.operations.topics import create_topics
from schemas.settings import Settings
from sinks.postgres.migrate import migrate
from tests.faults.harness.nodes import cluster
from tests.faults.harness.replica import Replica, with_user
from tests.support.certificates import Authority

ROOT = Path(__file__).parents[3]
ADMIN, USERS = "admin", ("eye-topics", "eye-gateway", "eye-stream", "eye-sinks", "eye-operator")
ROLES = ("eye_migrate", "eye_sinks", "eye_gateway", "eye_operator")


@dataclass(frozen=True)
class Secured:
    """A secured deployment: the settings of each of its users, and its database's servers."""

    settings: dict[str, Settings]
    directory: Path
    primary: LocalPostgres
    replica: Replica


@contextmanager
def secured(directory: Path) -> Iterator[Secured]:
    """Run Kafka and Postgres with users, roles and rights as the documentation says, topics and tables made."""
    passwords = {name: secrets.token_urlsafe(12) for name in (ADMIN, *USERS, *ROLES)}
    authority = Authority(directory / "certificates")
    primary = LocalPostgres(directory / "primary")
    replica = Replica(directory / "replica", primary)
    scram = {user: passwords[user] for user in (ADMIN, *USERS)}
    try:
        primary.start()
        make_roles(primary.dsn, passwords)
        replica.start()
        with cluster(directory, 1, _listeners(authority, passwords[ADMIN]), scram) as (bootstrap_servers, _):
            make_acls(directory, authority, bootstrap_servers, passwords[ADMIN])
            settings = {
                user: Settings(
                    kafka_bootstrap_servers=bootstrap_servers,
                    kafka_security_protocol="SASL_SSL",
                    kafka_ssl_cafile=authority.certificate,
                    kafka_sasl_username=user,
                    kafka_sasl_password=SecretStr(passwords[user]),
                    data_dir=directory / "eye",
                    partitions=3,
                    **_database(user, primary, replica, passwords),
                )
                for user in (ADMIN, *USERS)
            }
            asyncio.run(create_topics(settings["eye-topics"]))
            asyncio.run(migrate(with_user(primary.dsn, "eye_migrate", passwords["eye_migrate"])))
            yield Secured(settings, directory, primary, replica)
    finally:
        replica.stop()
        primary.stop()


def make_roles(dsn: str, passwords: dict[str, str]) -> None:
    """Make the roles of deploy/postgres/roles.sql, with passwords."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute((ROOT / "deploy" / "postgres" / "roles.sql").read_bytes())
        for role in ROLES:
            alter = sql.SQL("alter role {} password {}")
            connection.execute(alter.format(sql.Identifier(role), sql.Literal(passwords[role])))


def make_acls(directory: Path, authority: Authority, bootstrap_servers: str, password: str) -> None:
    """Run deploy/kafka/acls.sh as the administrator."""
    properties = directory / "admin.properties"
    properties.write_text(
        "security.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512\n"
        f"ssl.truststore.type=PEM\nssl.truststore.location={authority.certificate}\n"
        f"sasl.jaas.config={_login(ADMIN, password)}\n"
    )
    tool = f"{find_java().path} -XX:TieredStopAtLevel=1 -cp {kafka_classpath()} org.apache.kafka.tools.AclCommand"
    command = f"{tool} --bootstrap-server {bootstrap_servers} --command-config {properties}"
    variables = os.environ | {"KAFKA_ACLS": command}
    script = ROOT / "deploy" / "kafka" / "acls.sh"
    done = subprocess.run([script], env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{script}: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def _listeners(authority: Authority, password: str) -> dict[str, str]:
    certificate, key = authority.sign("kafka")
    keystore = certificate.with_name("kafka.keystore.pem")
    keystore.write_text(key.read_text() + certificate.read_text())
    return {
        "listeners": "SASL_SSL://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": "SASL_SSL://127.0.0.1:{port}",
        "listener.security.protocol.map": "SASL_SSL:SASL_SSL,CONTROLLER:SSL",
        "inter.broker.listener.name": "SASL_SSL",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": _login(ADMIN, password),
        "listener.name.controller.ssl.client.auth": "required",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(keystore),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.certificate),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{ADMIN};User:CN=kafka",
    }


def _login(user: str, password: str) -> str:
    module = "org.apache.kafka.common.security.scram.ScramLoginModule"
    return f'{module} required username="{user}" password="{password}";'


def _database(user: str, primary: LocalPostgres, replica: Replica, passwords: dict[str, str]) -> dict[str, Any]:
    match user:
        case "eye-sinks":
            return {"postgres_dsn": SecretStr(with_user(primary.dsn, "eye_sinks", passwords["eye_sinks"]))}
        case "eye-operator":
            return {"postgres_dsn": SecretStr(with_user(primary.dsn, "eye_operator", passwords["eye_operator"]))}
        case "eye-topics":  # `eye migrate` is run with these settings too
            return {"postgres_dsn": SecretStr(with_user(primary.dsn, "eye_migrate", passwords["eye_migrate"]))}
        case "eye-gateway":
            dsn = with_user(replica.dsn, "eye_gateway", passwords["eye_gateway"])
            return {"postgres_read_dsn": SecretStr(dsn)}
        case "admin":
            return {"postgres_dsn": SecretStr(primary.dsn)}
    return {}
