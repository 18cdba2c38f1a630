"""The gateways as they report themselves: readiness, spool and version of the keys."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import aiohttp

from eye.operations.gateway_tls import gateway_context
from schemas.settings import Settings, SettingsError

_ANSWER_SECONDS = 2.0
_POLL_SECONDS = 0.1

_CHECKS = ("kafka", "spool", "keys", "issuers", "tls")
"""The checks of /readyz that tell of a fault though the gateway is ready."""


_NO_DETAILS = (
    "says nothing of a spool at /readyz: where it has an admin port (EYE_GATEWAY_ADMIN_PORT), name that one in"
    " EYE_GATEWAY_URLS; else it is no gateway of The Eye"
)


class GatewayError(Exception):
    """A gateway does not do what was asked; the message names it and says what to do."""


class GatewayState(NamedTuple):
    """State of one gateway; `fault` says in a sentence why it does not answer or is not ready."""

    url: str
    reachable: bool
    fault: str | None = None
    spooled_records: int = 0
    spooled_bytes: int = 0
    spool_oldest_seconds: float = 0.0
    keys_version: str | None = None
    spool_owner: str | None = None
    refused_records: int = 0
    keys_used: Mapping[str, str] = MappingProxyType({})


def gateway_urls(settings: Settings) -> list[str]:
    """Return the gateways' addresses: EYE_GATEWAY_URLS, else the address that the settings give to a gateway here.

    It is that of the admin port where there is one. Where neither is set, nothing is known of any gateway.
    """
    if settings.gateway_urls:
        return [url.rstrip("/") for url in settings.gateway_urls]
    named = {"gateway_host", "gateway_port", "gateway_admin_port"} & settings.model_fields_set
    if not named or not (settings.gateway_admin_port or settings.gateway_port):
        return []
    host = "127.0.0.1" if settings.gateway_host in ("0.0.0.0", "::", "") else settings.gateway_host
    if settings.gateway_admin_port:
        return [f"http://{host}:{settings.gateway_admin_port}"]
    scheme = "http" if settings.tls_certfile is None else "https"
    return [f"{scheme}://{host}:{settings.gateway_port}"]


def gateway_session(settings: Settings) -> aiohttp.ClientSession:
    """Return a session for requests to the known gateways, which have to answer within 2 s. Raises SettingsError."""
    secure = any(url.startswith("https:") for url in gateway_urls(settings))
    context = gateway_context(settings, own=not settings.gateway_urls) if secure else True
    timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
    return aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(ssl=context))


async def read_gateways(settings: Settings) -> list[GatewayState]:
    """Ask every known gateway for its state; one that does not answer within 2 s is not reachable."""
    urls = gateway_urls(settings)
    try:
        session = gateway_session(settings)
    except SettingsError as error:
        return [GatewayState(url, False, f"can't be asked: {error}") for url in urls]
    async with session:
        return list(await asyncio.gather(*(_read(session, url) for url in urls)))


async def keys_last_used(settings: Settings) -> dict[str, str] | None:
    """Return the hour in which each key was last used, by its fingerprint; None where no gateway answers.

    Each gateway counts since its start.
    """
    reached = [state for state in await read_gateways(settings) if state.reachable]
    used: dict[str, str] = {}
    for state in reached:
        used |= {key: max(hour, used.get(key, "")) for key, hour in state.keys_used.items()}
    return used if reached else None


async def wait_for_keys(settings: Settings, version: str, seconds: float = 10.0) -> list[str]:
    """Wait until every gateway that can be reached uses this version of the keys; returns their addresses.

    Raises GatewayError, which names those that still use another version after `seconds`.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        reached = [state for state in await read_gateways(settings) if state.reachable]
        behind = [state.url for state in reached if state.keys_version != version]
        if not behind:
            return [state.url for state in reached]
        if asyncio.get_running_loop().time() > deadline:
            raise GatewayError(
                f"{', '.join(behind)} still uses other keys than {version}: see that it reads this file"
                " (EYE_APPLICATIONS), and what its /readyz says of keys"
            )
        await asyncio.sleep(_POLL_SECONDS)


def _faults(answer: dict[str, Any]) -> list[str]:
    """Return why a gateway is not ready, and what is wrong with Kafka, spool, keys or TLS while it still is."""
    checks = answer.get("checks", {})
    degraded = [
        f"{name}: {checks[name]}"
        for name in ("kafka", "limits", "spool", "keys", "issuers", "tls")
        if checks.get(name, "ok") != "ok"
    ]
    return [*answer.get("reasons", []), *degraded]


async def _read(session: aiohttp.ClientSession, url: str) -> GatewayState:
    try:
        async with session.get(f"{url}/readyz") as response:
            answer = await response.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        return GatewayState(url, False, f"does not answer: {str(error) or type(error).__name__}")
    if not isinstance(answer, dict) or "spool" not in answer:
        return GatewayState(url, False, _NO_DETAILS)
    spool: dict[str, Any] = answer["spool"]
    return GatewayState(
        url=url,
        reachable=True,
        fault="; ".join(_faults(answer)) or None,
        spooled_records=int(spool["records"]),
        spooled_bytes=int(spool["bytes"]),
        spool_oldest_seconds=float(spool["oldest_seconds"]),
        keys_version=answer.get("keys_version"),
        spool_owner=spool.get("owner"),
        refused_records=int(spool.get("refused", 0)),
        keys_used=answer.get("keys_used") or {},
    )
