"""The certificates of a gateway: new files are used, broken ones are not, and clients may need their own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from schemas.settings import Settings
from tests.integration.gateway.https.https_gateway import (
    EVENT,
    a_post,
    metric,
    put,
    readyz,
    running,
    statuses,
    subject,
    trusting,
)
from tests.support.certificates import Authority
from tests.support.pipeline import EyeProcess, poll


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


def test_a_missing_key_ends_the_start_with_one_sentence(deployment: Settings, tmp_path: Path) -> None:
    nowhere = deployment.model_copy(update={"tls_keyfile": tmp_path / "nowhere.key"})
    process = EyeProcess("gateway", 0, nowhere, tmp_path / "logs")
    process.start()

    poll(lambda: not process.running, 30, "the gateway ends")

    assert process.exit_code() == 1
    assert f"EYE_TLS_KEYFILE: {tmp_path}/nowhere.key can't be read: No such file" in process.log.read_text()
    assert "Traceback" not in process.log.read_text()
