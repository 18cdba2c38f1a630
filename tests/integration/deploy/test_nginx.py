"""nginx in front of a gateway, by the configuration that is shipped."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from eye.local.remembered_settings import free_port
from schemas.settings import Settings
from tests.conftest import KEY, write_key
from tests.support.certificates import Authority
from tests.support.pipeline import EyeProcess, an_event, fetch_status, poll

SHIPPED = Path(__file__).parents[3] / "deploy" / "nginx" / "eye.conf"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed: `apt-get install nginx-light`")


class Site:
    """The gateway as clients see it: `url`, and whom they trust; `log` is the gateway's."""

    def __init__(self, port: int, context: ssl.SSLContext, log: Path) -> None:
        self.url, self.context, self.log = f"https://localhost:{port}", context, log

    def send(self, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str]:
        request = urllib.request.Request(f"{self.url}{path}", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=10, context=self.context) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Lend a gateway that spools, behind nginx."""
    directory = tmp_path_factory.mktemp("nginx")
    authority = Authority(directory / "authority")
    settings = Settings(
        kafka_bootstrap_servers="127.0.0.1:1",
        postgres_dsn=SecretStr("host=127.0.0.1 port=1 connect_timeout=1"),
        data_dir=directory / "eye",
        trusted_proxies=["127.0.0.1"],
    )
    write_key(settings)
    gateway, port = EyeProcess("gateway", 0, settings, directory / "logs"), free_port()
    gateway.start()
    nginx = subprocess.Popen(
        [str(NGINX), "-p", str(directory), "-c", str(configured(directory, authority, gateway, port))]
    )
    context = ssl.create_default_context(cafile=authority.certificate)
    try:
        poll(gateway.is_ready, 60, "the gateway is ready")
        poll(lambda: fetch_status(f"https://localhost:{port}/healthz", context) == 200, 20, "nginx forwards")
        yield Site(port, context, gateway.log)
    finally:
        nginx.terminate()
        nginx.wait(10)
        gateway.stop(15)


def configured(directory: Path, authority: Authority, gateway: EyeProcess, port: int) -> Path:
    """Write a configuration around the one that is shipped, with places and ports of this test."""
    certificate, key = authority.sign("events.example.com")
    site = SHIPPED.read_text()
    for shipped, here in {
        "127.0.0.1:8080": f"127.0.0.1:{gateway.port}",
        "listen 443 ": f"listen 127.0.0.1:{port} ",
        "/etc/eye/tls.crt": str(certificate),
        "/etc/eye/tls.key": str(key),
    }.items():
        assert shipped in site
        site = site.replace(shipped, here)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    scratch = "".join(f"{kind}_temp_path {directory}/{kind};\n" for kind in kinds)
    file = directory / "nginx.conf"
    file.write_text(
        f"daemon off;\nmaster_process off;\npid {directory}/nginx.pid;\nerror_log {directory}/error.log;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{scratch}{site}\n}}\n"
    )
    return file


def test_events_go_through_it(site: Site) -> None:
    headers = {"X-API-Key": KEY, "Content-Type": "application/json"}

    assert site.send("/events/", json.dumps(an_event()).encode(), **headers)[0] == 202
    assert site.send("/events/", b" " * 5_500_000, **headers)[0] == 413


def test_the_description_names_the_address_that_was_called(site: Site) -> None:
    assert json.loads(site.send("/openapi.json")[1])["servers"] == [{"url": site.url}]


def test_the_log_names_the_client_and_not_the_proxy(site: Site) -> None:
    headers = {"X-API-Key": "unknown", "X-Forwarded-For": "203.0.113.9"}

    assert site.send("/events/", b"{}", **headers)[0] == 401
    assert "refused a request of 203.0.113.9: unauthorized" in site.log.read_text()


def test_metrics_are_not_for_everybody(site: Site) -> None:
    assert [site.send(path)[0] for path in ("/metrics", "/readyz", "/healthz")] == [404, 404, 200]
