"""HTTPS: versions, certificates that change, client certificates, slow and wrong handshakes; by real TLS clients."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from eye.local.process import wait_until
from eye.local.remembered_settings import free_port
from eye.local.stack import environment
from schemas.settings import Settings
from tests.conftest import KEY
from tests.integration.eye.test_command import run_eye
from tests.integration.gateway.https.https_gateway import (
    EVENT,
    HEAD_SECONDS,
    a_post,
    metric,
    readyz,
    running,
    statuses,
    subject,
    trusting,
)
from tests.support.certificates import Authority
from tests.support.examples import example
from tests.support.pipeline import EyeProcess


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


def test_the_commands_of_the_docs_serve_and_reach_it(deployment: Settings, authority: Authority) -> None:
    port = free_port()
    here = {
        "/etc/eye/tls.crt": str(deployment.tls_certfile),
        "/etc/eye/tls.key": str(deployment.tls_keyfile),
        "ca.crt": str(authority.certificate),
        "events.example.com": "localhost",
        "8443": str(port),
    }
    script = example("docs/deploy.md", "EYE_TLS_CERTFILE").script
    for shown, ours in here.items():
        script = script.replace(shown, ours)
    serve, ask = script.splitlines()
    env = os.environ | environment(deployment) | {"PATH": f"{sys.prefix}/bin:{os.environ['PATH']}"}

    with subprocess.Popen(["bash", "-c", f"exec env {serve}"], env=env) as gateway:
        try:
            assert wait_until(lambda: subprocess.run(["bash", "-c", f"{ask} -sf"], check=False).returncode == 0, 120)
        finally:
            gateway.terminate()
