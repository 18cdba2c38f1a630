"""The admin port: metrics and details are there, and not where everybody comes."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from eye.local.remembered_settings import free_port
from eye.local.stack import environment
from gateway.app import build_app
from schemas.settings import Settings, SettingsError
from tests.conftest import write_key
from tests.integration.eye.test_command import run_eye
from tests.support.pipeline import EyeProcess, poll


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, EyeProcess]]:
    """Lend a gateway with an admin port, that spools, since no Kafka is there."""
    settings = Settings(
        kafka_bootstrap_servers="127.0.0.1:1",
        postgres_dsn=SecretStr("host=127.0.0.1 port=1 connect_timeout=1"),
        data_dir=tmp_path_factory.mktemp("gateway") / "eye",
        gateway_admin_port=free_port(),
    )
    write_key(settings)
    process = EyeProcess("gateway", 0, settings, settings.data_dir / "logs")
    process.start()
    try:
        poll(process.is_ready, 60, "the gateway is ready")
        yield settings, process
        assert process.running
    finally:
        process.stop(15)


def fetch(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_port_of_everybody_tells_no_details(gateway: tuple[Settings, EyeProcess]) -> None:
    _, process = gateway

    assert fetch(f"{process.url}/readyz") == (200, '{"status":"ready"}')
    assert fetch(f"{process.url}/healthz")[0] == 200
    assert fetch(f"{process.url}/metrics")[0] == 404
    assert "/metrics" not in json.loads(fetch(f"{process.url}/openapi.json")[1])["paths"]


def test_the_admin_port_has_details_and_metrics_alone(gateway: tuple[Settings, EyeProcess]) -> None:
    settings, _ = gateway
    admin = f"http://127.0.0.1:{settings.gateway_admin_port}"

    status, ready = fetch(f"{admin}/readyz")
    assert (status, json.loads(ready)["checks"]["keys"]) == (200, "ok")
    assert "eye_gateway_kafka_up 0.0" in fetch(f"{admin}/metrics")[1]
    assert [fetch(f"{admin}{path}")[0] for path in ("/healthz", "/events", "/docs", "/schemas")] == [200, 404, 404, 404]


def test_the_commands_ask_the_admin_port(gateway: tuple[Settings, EyeProcess], tmp_path: Path) -> None:
    settings, process = gateway

    def found(**more: str) -> Any:
        env = environment(settings) | {"EYE_GATEWAY_PORT": str(process.port)} | more
        findings = json.loads(run_eye("doctor", "--json", env=env).stdout)["findings"]
        return {finding["what"]: finding["seen"] for finding in findings}

    assert found()[f"gateway http://127.0.0.1:{settings.gateway_admin_port}"].startswith("kafka: ")
    assert "EYE_GATEWAY_ADMIN_PORT" in found(EYE_GATEWAY_URLS=process.url)[f"gateway {process.url}"]


def test_both_ports_cannot_be_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="EYE_GATEWAY_ADMIN_PORT"):
        build_app(Settings(data_dir=tmp_path, gateway_port=8080, gateway_admin_port=8080))
