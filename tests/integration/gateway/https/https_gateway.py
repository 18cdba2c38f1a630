"""A gateway that speaks HTTPS, as a process, and clients that trust it."""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from schemas.settings import Settings
from tests.conftest import KEY, write_key
from tests.support.certificates import Authority
from tests.support.pipeline import EyeProcess, an_event, poll

EVENT = json.dumps(an_event()).encode()
HEAD_SECONDS = 1.5


def deploy(tmp_path: Path, authority: Authority) -> Settings:
    """Return the settings of a gateway that speaks HTTPS and spools, since no Kafka is there."""
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    put(authority, "first", certificate, key)
    made = Settings(
        kafka_bootstrap_servers="127.0.0.1:1",
        postgres_dsn=SecretStr("host=127.0.0.1 port=1 connect_timeout=1"),
        data_dir=tmp_path / "eye",
        tls_certfile=certificate,
        tls_keyfile=key,
        head_seconds=HEAD_SECONDS,
    )
    write_key(made)
    return made


def put(authority: Authority, name: str, certificate: Path, key: Path, days: int = 90) -> None:
    """Put a new pair in the place of the one that is there."""
    for made, place in zip(authority.sign(name, days), (certificate, key), strict=True):
        made.replace(place)


@contextmanager
def running(settings: Settings, port: int | None = None) -> Iterator[EyeProcess]:
    process = EyeProcess("gateway", 0, settings, settings.data_dir / "logs", port)
    process.start()
    try:
        poll(process.is_ready, 60, "the gateway is ready")
        yield process
        assert process.running, process.log.read_text()[-3000:]
    finally:
        process.stop(15)


def trusting(authority: Authority, **changes: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.certificate)
    for name, value in changes.items():
        setattr(context, name, value)
    return context


def subject(process: EyeProcess, context: ssl.SSLContext) -> str:
    """Return the name in the certificate that a new connection is shown."""
    with (
        socket.create_connection(("127.0.0.1", process.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        shown: Any = secure.getpeercert()
        return str(dict(field[0] for field in shown["subject"])["commonName"])


def a_post(body: bytes = EVENT, *headers: str) -> bytes:
    lines = ["POST /events HTTP/1.1", "Host: x", f"X-API-Key: {KEY}", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def statuses(answers: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answers)]


async def readyz(process: EyeProcess, context: ssl.SSLContext) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.get(f"{process.url}/readyz", ssl=context) as response:
        return response.status, await response.json()


async def metric(process: EyeProcess, context: ssl.SSLContext, name: str, **labels: str) -> float:
    async with aiohttp.ClientSession() as session, session.get(f"{process.url}/metrics", ssl=context) as response:
        families = text_string_to_metric_families(await response.text())
    return sum(s.value for f in families for s in f.samples if s.name == name and labels.items() <= s.labels.items())
