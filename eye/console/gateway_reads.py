"""The gateway as the console asks it: JSON by HTTP, with the key of the visitor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp
from yarl import URL

from eye.operations.gateways import gateway_session, gateway_urls
from schemas.settings import Settings

_READ_SECONDS = 8.0


class ReadError(Exception):
    """The gateway gives no answer; `status` is what it said, None where it said nothing."""

    def __init__(self, sentence: str, status: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status


class GatewayReads:
    """Reads of the deployment's gateways; where one does not answer the next is asked."""

    def __init__(self, settings: Settings) -> None:
        # naming the port makes the default address count as given; an admin port answers no reads
        changes: dict[str, object] = {"gateway_port": settings.gateway_port, "gateway_admin_port": None}
        if settings.console_gateway_urls:
            changes["gateway_urls"] = settings.console_gateway_urls
        self._settings = settings.model_copy(update=changes)
        self.urls = gateway_urls(self._settings)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        """The HTTP session, opened when it is first used. Raises SettingsError."""
        if self._session is None:
            self._session = gateway_session(self._settings)
        return self._session

    async def get(self, key: str, path: str, **parameters: str | int | None) -> Any:
        """Return the answer to GET; parameters that are None or empty are left out. Raises ReadError."""
        given = {name: str(value) for name, value in parameters.items() if value not in (None, "")}
        fault = ReadError("no gateway is known: set EYE_GATEWAY_URLS")
        for url in self.urls:
            try:
                return await self._get(url, key, path, given)
            except ReadError as error:
                if error.status is not None:
                    raise
                fault = error
        raise fault

    async def scopes(self, key: str) -> tuple[str, frozenset[str]]:
        """Return the application and the scopes of a key. Raises ReadError, of status 401 for an unknown key."""
        if not key.isascii() or not key.isprintable():
            raise ReadError("This key is not known.", 401)
        found = await self.get(key, "/key")
        return str(found["application"]), frozenset(map(str, found["scopes"]))

    async def _get(self, url: str, key: str, path: str, given: Mapping[str, str]) -> Any:
        headers, timeout = {"X-API-Key": key}, aiohttp.ClientTimeout(total=_READ_SECONDS)
        address = URL(url + path, encoded=True).update_query(given)
        try:
            async with self.session.get(address, headers=headers, timeout=timeout) as response:
                answer = await response.json(content_type=None)
                if response.status != 200:
                    detail = answer.get("detail") or answer.get("title") if isinstance(answer, dict) else None
                    raise ReadError(str(detail or f"the gateway answered {response.status}"), response.status)
                return answer
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise ReadError(f"{url} does not answer: {str(error) or type(error).__name__}") from error
