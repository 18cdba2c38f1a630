"""HTTPS: versions, certificates that change, client certificates, slow and wrong handshakes; by real TLS clients."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from eye.local.remembered_settings import free_port
from eye.local.stack import environment
from schemas.settings import Settings
from tests.conftest import KEY, write_key
from tests.integration.eye.test_command import run_eye
from tests.support.certificates import Authority
from tests.support.pipeline import EyeProcess, an_event, poll

EVENT = json.dumps(an_event()).encode()
HEAD_SECONDS = 1.5


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


def test_curl_sends_events_when_told_the_authority(process: EyeProcess, authority: Authority) -> None:
    def curl(*trust: str) -> tuple[int, str]:
        sent = ["--json", EVENT.decode(), "-H", f"X-API-Key: {KEY}", f"{process.url}/events/"]
        shown = ["-s", "-w", "%{http_code}", "-o", "/dev/null"]
        ran = subprocess.run(["curl", *shown, *trust, *sent], capture_output=True, check=False, text=True)
        return ran.returncode, ran.stdout

    assert curl("--cacert", str(authority.certificate)) == (0, "202")
    assert curl() == (60, "000")


async def test_many_requests_on_one_connection_are_answered_in_order(process: EyeProcess, authority: Authority) -> None:
    reader, writer = await asyncio.open_connection(
        "localhost", process.port, ssl=trusting(authority), server_hostname="localhost"
    )
    writer.write(a_post() + a_post(b"[]") + a_post())
    writer.write(a_post(EVENT, "Connection: close"))
    answers = await reader.read()
    writer.close()

    assert statuses(answers) == [202, 422, 202, 202]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
async def test_tls_1_2_is_the_least(process: EyeProcess, authority: Authority, version: ssl.TLSVersion) -> None:
    context = trusting(authority)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version

    if version is ssl.TLSVersion.TLSv1_1:
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            subject(process, context)
    else:
        assert subject(process, context) == "first"


async def test_a_new_pair_is_used_and_open_connections_stay(deployment: Settings, authority: Authority) -> None:
    context, (certificate, key) = trusting(authority), (deployment.tls_certfile, deployment.tls_keyfile)
    assert certificate
    assert key
    with running(deployment) as process:
        reader, writer = await asyncio.open_connection(
            "localhost", process.port, ssl=context, server_hostname="localhost"
        )
        assert subject(process, context) == "first"

        put(authority, "second", certificate, key, days=200)
        await asyncio.to_thread(poll, lambda: subject(process, context) == "second", 10, "the new certificate is shown")

        writer.write(a_post(EVENT, "Connection: close"))
        assert statuses(await reader.read()) == [202]
        writer.close()
        ends = await metric(process, context, "eye_gateway_certificate_end_seconds")
        assert 199 * 86_400 < ends - (await asyncio.to_thread(certificate.stat)).st_mtime < 201 * 86_400


@pytest.mark.parametrize("broken", ["certificate", "key", "gone"])
async def test_a_broken_new_pair_keeps_the_one_before(
    deployment: Settings, authority: Authority, broken: str, tmp_path: Path
) -> None:
    context, (certificate, key) = trusting(authority), (deployment.tls_certfile, deployment.tls_keyfile)
    assert certificate
    assert key
    with running(deployment) as process:
        match broken:
            case "certificate":
                certificate.write_text("no certificate")
            case "key":
                put(authority, "other", tmp_path / "other.crt", key)
            case "gone":
                certificate.unlink()

        async with asyncio.timeout(10):
            while (said := (await readyz(process, context))[1]["checks"]["tls"]) == "ok":  # noqa: ASYNC110
                await asyncio.sleep(0.05)

        assert "can't be used" in said
        assert (await readyz(process, context))[0] == 200
        assert await metric(process, context, "eye_gateway_certificate_faulty") == 1
        assert subject(process, context) == "first"
        assert said in process.log.read_text()

        put(authority, "second", certificate, key)
        await asyncio.to_thread(poll, lambda: subject(process, context) == "second", 10, "the mended pair is used")
        assert (await readyz(process, context))[1]["checks"]["tls"] == "ok"


async def test_a_certificate_that_ends_soon_is_told_by_readyz(deployment: Settings, authority: Authority) -> None:
    assert deployment.tls_certfile
    assert deployment.tls_keyfile
    put(authority, "soon", deployment.tls_certfile, deployment.tls_keyfile, days=3)

    with running(deployment) as process:
        status, answer = await readyz(process, trusting(authority))

        faulty = await metric(process, trusting(authority), "eye_gateway_certificate_faulty")

    assert (status, answer["status"], faulty) == (200, "ready", 1)
    assert "the certificate ends at" in answer["checks"]["tls"]


async def test_a_client_certificate_is_required_and_verified(
    deployment: Settings, authority: Authority, tmp_path: Path
) -> None:
    ours, strangers = Authority(tmp_path / "clients"), Authority(tmp_path / "strangers")
    both = tmp_path / "both.pem"
    both.write_text("".join(path.read_text() for path in ours.sign("client")))
    settings = deployment.model_copy(
        update={"tls_client_cafile": ours.certificate, "gateway_client_certfile": both, "gateway_port": 1}
    )
    contexts = {name: trusting(authority) for name in ("ours", "strangers", "none")}
    contexts["ours"].load_cert_chain(both)
    contexts["strangers"].load_cert_chain(*strangers.sign("stranger"))

    with running(settings) as process:
        answers: dict[str, Any] = {}
        for name, context in contexts.items():
            async with aiohttp.ClientSession() as session:
                try:
                    async with session.get(f"{process.url}/healthz", ssl=context) as response:
                        answers[name] = response.status
                except aiohttp.ClientError:
                    answers[name] = None
        counted = await metric(process, contexts["ours"], "eye_gateway_connections_closed_total", reason="handshake")

        assert answers == {"ours": 200, "strangers": None, "none": None}
        assert counted >= 2
        assert "its TLS handshake failed (" in process.log.read_text()


@pytest.mark.parametrize("sent", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"])
async def test_a_slow_handshake_ends_its_connection(process: EyeProcess, authority: Authority, sent: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
    writer.write(sent)
    async with asyncio.timeout(HEAD_SECONDS + 5):
        assert await reader.read() == b""
    writer.close()

    closed = "eye_gateway_connections_closed_total"
    assert await metric(process, trusting(authority), closed, reason="slow_handshake") >= 1


async def test_plain_http_is_told_to_use_https(process: EyeProcess) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
    writer.write(a_post())
    answer = await reader.read()
    writer.close()

    assert statuses(answer) == [400]
    assert b"This port speaks HTTPS" in answer
    assert "it does not speak TLS" in process.log.read_text()


async def test_handshakes_count_among_the_connections(deployment: Settings, authority: Authority) -> None:
    settings = deployment.model_copy(update={"max_connections": 5, "head_seconds": 60.0})
    with running(settings) as process, ExitStack() as mute:
        for _ in range(20):
            mute.enter_context(socket.create_connection(("127.0.0.1", process.port)))

        assert (await readyz(process, trusting(authority)))[0] == 200
        assert await metric(process, trusting(authority), "eye_gateway_connections") <= 5
        closed = "eye_gateway_connections_closed_total"
        assert await metric(process, trusting(authority), closed, reason="made_room") >= 15


async def test_the_stop_ends_handshakes_and_connections(deployment: Settings, authority: Authority) -> None:
    with running(deployment.model_copy(update={"head_seconds": 60.0})) as process:
        _, mute = await asyncio.open_connection("127.0.0.1", process.port)
        reader, idle = await asyncio.open_connection(
            "localhost", process.port, ssl=trusting(authority), server_hostname="localhost"
        )
        stopping = asyncio.create_task(asyncio.to_thread(process.stop, 15))
        assert await reader.read() == b""
        await stopping
        mute.close()
        idle.close()
        assert process.exit_code() == 0
        process.start()


def test_a_missing_key_ends_the_start_with_one_sentence(deployment: Settings, tmp_path: Path) -> None:
    nowhere = deployment.model_copy(update={"tls_keyfile": tmp_path / "nowhere.key"})
    process = EyeProcess("gateway", 0, nowhere, tmp_path / "logs")
    process.start()

    poll(lambda: not process.running, 30, "the gateway ends")

    assert process.exit_code() == 1
    assert f"EYE_TLS_KEYFILE: {tmp_path}/nowhere.key can't be read: No such file" in process.log.read_text()
    assert "Traceback" not in process.log.read_text()


def test_the_commands_trust_the_gateway_of_their_settings(deployment: Settings, tmp_path: Path) -> None:
    events = tmp_path / "events.ndjson"
    events.write_bytes(EVENT)
    port = free_port()
    with running(deployment.model_copy(update={"gateway_port": port}), port) as process:
        env = environment(deployment) | {"EYE_GATEWAY_PORT": str(port)}
        sent = ["send", str(events), "--url", process.url, "--key", KEY, "--json"]
        doctor = json.loads(run_eye("doctor", "--json", env=env).stdout)["findings"]
        found = {finding["what"]: finding for finding in doctor}
        known = run_eye(*sent, env=env | {"EYE_GATEWAY_CAFILE": str(deployment.tls_certfile)})
        unknown = run_eye(*sent, env=env)

    assert found[f"gateway {process.url}"]["seen"].startswith("kafka: ")
    assert found["certificate"]["ok"]
    assert (known.returncode, json.loads(known.stdout)) == (0, {"ok": 1})
    assert unknown.returncode == 1
    assert "no TLS that can be trusted (EYE_GATEWAY_CAFILE)" in unknown.stderr
