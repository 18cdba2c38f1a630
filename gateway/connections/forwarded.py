"""Clients behind proxies: their address and the address they called, as a trusted proxy forwards them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, NamedTuple

from aiohttp import web

from schemas.settings import SettingsError

_HOST = re.compile(r"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")

Address = IPv4Address | IPv6Address


class PublicAddress(NamedTuple):
    """The address by which a client called, in front of the proxies."""

    scheme: str
    host: str
    prefix: str

    @property
    def url(self) -> str:
        """The address as a URL without a slash at its end."""
        return f"{self.scheme}://{self.host}{self.prefix}"


class TrustedProxies:
    """The proxies whose `X-Forwarded-*` headers count; what anybody else sends in them is ignored."""

    def __init__(self, networks: Sequence[str]) -> None:
        try:
            self._networks = [ip_network(network, strict=False) for network in networks]
        except ValueError as error:
            raise SettingsError(f"EYE_TRUSTED_PROXIES is no list of addresses and networks: {error}.") from error

    def client_address(self, request: web.Request) -> str:
        """Return the client's address: the nearest one in `X-Forwarded-For` that is no trusted proxy's."""
        nearest = _peer(request)
        address = _address(nearest)
        if address is None or not self._trusts(address):
            return nearest
        for said in reversed(",".join(request.headers.getall("X-Forwarded-For", [])).split(",")):
            before = _address(_without_port(said.strip()))
            if before is None:
                break
            address = before
            if not self._trusts(address):
                break
        return str(address)

    def public_address(self, request: web.Request) -> PublicAddress | None:
        """Return the address that a trusted proxy says the client called, None where it says none.

        Of several values of a header the last one counts, which is the proxy's own.
        """
        peer = _address(_peer(request))
        if peer is None or not self._trusts(peer):
            return None
        scheme, host = _last(request, "X-Forwarded-Proto").lower(), _last(request, "X-Forwarded-Host")
        if scheme not in ("http", "https") and not host:
            return None
        scheme = scheme if scheme in ("http", "https") else request.scheme
        host = host or request.headers.get("Host", "")
        prefix = _last(request, "X-Forwarded-Prefix").rstrip("/")
        if not _HOST.fullmatch(host):
            return None
        return PublicAddress(scheme, host, prefix if _PREFIX.fullmatch(prefix) else "")

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def _peer(request: web.Request) -> str:
    peer: Any = request.transport.get_extra_info("peername") if request.transport is not None else None
    return str(peer[0]) if isinstance(peer, tuple) else ""


def _address(text: str) -> Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _last(request: web.Request, name: str) -> str:
    return ",".join(request.headers.getall(name, [])).rpartition(",")[2].strip()
