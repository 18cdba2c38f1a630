"""Whose word about a client's address counts."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
from aiohttp.test_utils import make_mocked_request

from gateway.connections.forwarded import TrustedProxies
from gateway.connections.refusals import QUIET_SECONDS, Refusals
from schemas.settings import Settings, SettingsError

PROXIES = TrustedProxies(["10.0.0.0/8", "192.0.2.7", "fd00::/8"])


def a_request(peer: str, *headers: tuple[str, str]) -> Any:
    transport = mock.Mock()
    transport.get_extra_info = {"peername": (peer, 4711)}.get
    return make_mocked_request("GET", "/openapi.json", headers=headers, transport=transport)


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9, 192.0.2.7, 10.1.2.3"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9:55, 10.1.1.1:80"], "203.0.113.9"),
        ("10.0.0.1", ["[2001:db8::1]:443"], "2001:db8::1"),
        ("10.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("fd00::1", ["203.0.113.9"], "203.0.113.9"),
        ("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.2"], "10.0.0.2"),
        ("203.0.113.1", ["198.51.100.1"], "203.0.113.1"),
        ("192.0.2.8", ["198.51.100.1"], "192.0.2.8"),
    ],
)
def test_the_client_is_the_nearest_that_is_no_trusted_proxy(peer: str, forwarded: list[str], client: str) -> None:
    request = a_request(peer, *(("X-Forwarded-For", value) for value in forwarded))

    assert PROXIES.client_address(request) == client


@pytest.mark.parametrize(
    ("peer", "headers", "url"),
    [
        ("10.0.0.1", {"Proto": "https", "Host": "events.example"}, "https://events.example"),
        ("10.0.0.1", {"Proto": "https"}, "https://inside:8080"),
        ("10.0.0.1", {"Host": "events.example:8443"}, "http://events.example:8443"),
        ("10.0.0.1", {"Proto": "https", "Host": "a.example", "Prefix": "/eye/"}, "https://a.example/eye"),
        ("10.0.0.1", {"Proto": "http, https", "Host": "spoofed, events.example"}, "https://events.example"),
        ("10.0.0.1", {"Proto": "gopher"}, None),
        ("10.0.0.1", {"Proto": "https", "Host": "evil/path?<script>"}, None),
        ("10.0.0.1", {"Proto": "https", "Host": "a.example", "Prefix": "//evil"}, "https://a.example"),
        ("10.0.0.1", {}, None),
        ("203.0.113.1", {"Proto": "https", "Host": "events.example"}, None),
    ],
)
def test_a_trusted_proxy_says_the_address_that_was_called(peer: str, headers: dict[str, str], url: str | None) -> None:
    sent = [(f"X-Forwarded-{name}", value) for name, value in headers.items()]
    found = PROXIES.public_address(a_request(peer, ("Host", "inside:8080"), *sent))

    assert (found and found.url) == url


def test_networks_come_from_the_setting() -> None:
    settings = Settings.model_validate({"trusted_proxies": "10.0.0.0/8, 192.0.2.7"})

    assert (
        TrustedProxies(settings.trusted_proxies).client_address(
            a_request("192.0.2.7", ("X-Forwarded-For", "203.0.113.9"))
        )
        == "203.0.113.9"
    )
    with pytest.raises(SettingsError, match="EYE_TRUSTED_PROXIES"):
        TrustedProxies(["proxy.example"])


def test_a_flood_of_refusals_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    refusals = Refusals(lambda: now[0])
    for _ in range(100):
        refusals.note("unauthorized", "203.0.113.9")
    refusals.note("forbidden", "203.0.113.9")
    now[0] = QUIET_SECONDS
    refusals.note("unauthorized", "203.0.113.8")

    assert [record.getMessage() for record in caplog.records] == [
        "refused a request of 203.0.113.9: unauthorized",
        "refused a request of 203.0.113.9: forbidden",
        "refused a request of 203.0.113.8: unauthorized",
    ]
