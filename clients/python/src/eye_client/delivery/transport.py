"""One request to the gateway, and its answer."""

from __future__ import annotations

import email.utils
import gzip
import json
import logging
import platform
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

import msgspec
import urllib3
from urllib3.util import make_headers

from eye_client.options import Options
from eye_client.results import Violation
from eye_client.version import VERSION

log = logging.getLogger(__name__)

_LOOPBACK = ("localhost", "::1")
_WORTH_COMPRESSING = 1_000
_CONNECT_SECONDS = 5.0
_BUSY = (408, 429)
MAX_RETRY_AFTER = 3_600.0
"""Longest `Retry-After` that is honoured, in seconds."""


class Verdict(msgspec.Struct):
    """The gateway's verdict on one event of a request."""

    status: str
    errors: tuple[Violation, ...] = ()


class _Body(msgspec.Struct):
    results: list[Verdict] | None = None
    code: str = ""
    detail: str = ""


_answer_body = msgspec.json.Decoder(_Body)


class Answer(NamedTuple):
    """The answer to a request.

    `status`: 0 where nobody answered; `verdicts`: one for each event, or none at all; `retry_after`: seconds to wait
    as the gateway asked, 0 where it did not; `detail`: a sentence for people; `code`: that of the gateway's problem,
    empty where the answer is none of these.
    """

    status: int
    verdicts: list[Verdict]
    retry_after: float
    detail: str
    code: str = ""

    @property
    def is_about_the_body(self) -> bool:
        """Return whether an event in it is at fault, or their number: fewer of them may pass."""
        return not self.verdicts and (self.status == 413 or (self.status == 400 and self.code != ""))

    @property
    def is_refusal(self) -> bool:
        """Return whether our key or address is at fault, which people have to mend, and not a gateway that is busy."""
        is_busy = self.status in (0, *_BUSY) or self.status >= 500
        return not self.verdicts and not is_busy and not self.is_about_the_body


class Transport:
    """Connections to one gateway, through the proxy that the environment names, if it names one.

    Sockets are urllib3's, made by Python's own `socket`: in a process that gevent has patched they are cooperative.
    """

    def __init__(self, options: Options) -> None:
        self._base = options.url.rstrip("/")
        self._headers = {
            "Authorization": f"Bearer {options.key}",
            "Content-Type": "application/json",
            "User-Agent": f"the-eye-client/{VERSION} Python/{platform.python_version()}",
        }
        self._timeout = urllib3.Timeout(connect=min(_CONNECT_SECONDS, options.timeout), read=options.timeout)
        self._pool = _pool(self._base, options.ca_certs)

    def post_events(self, bodies: Sequence[bytes]) -> Answer:
        """Send events, with the time of our clock. Never raises for what the network or the gateway does."""
        sent_at = datetime.now(timezone.utc).isoformat(timespec="milliseconds").encode()
        body = b'{"sent_at":"%b","events":[%b]}' % (sent_at, b",".join(bodies))
        answer = self._post("/events/", body)
        if 200 <= answer.status < 300 and not answer.verdicts:
            detail = f"status {answer.status} without verdicts: is this address the gateway's?"
            return answer._replace(retry_after=0.0, detail=detail)
        if answer.verdicts and len(answer.verdicts) != len(bodies):
            return answer._replace(status=0, verdicts=[], detail="the answer is not about the events that were sent")
        return answer

    def post_report(self, dropped: dict[str, int]) -> bool:
        """Report the numbers of dropped events, by reason; True where the gateway took the report."""
        answer = self._post("/client-reports", json.dumps({"dropped": dropped}).encode())
        return 200 <= answer.status < 300

    def close(self) -> None:
        """Close the connections."""
        for key in self._pool.pools.keys():  # noqa: SIM118 - it can't be iterated
            if pool := self._pool.pools.get(key):
                pool.close()  # `clear` alone would leave this to a finalizer, which at the process' end has run before
        self._pool.clear()

    def _post(self, path: str, body: bytes) -> Answer:
        headers = self._headers
        if len(body) > _WORTH_COMPRESSING:
            body = gzip.compress(body, compresslevel=1)
            headers = {**headers, "Content-Encoding": "gzip"}
        try:
            response = self._pool.request(
                "POST",
                f"{self._base}{path}",
                body=body,
                headers=headers,
                timeout=self._timeout,
                retries=False,
                redirect=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            return Answer(0, [], 0.0, f"{type(error).__name__}: {error}")
        return _read(response.status, response.data, response.headers.get("Retry-After"))


def _read(status: int, body: bytes, retry_after: str | None) -> Answer:
    try:
        read = _answer_body.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):  # not the gateway's own answer: a proxy's, or cut off
        read = _Body()
    detail = read.detail or f"status {status}"
    return Answer(status, read.results or [], seconds_of(retry_after), detail, read.code)


def seconds_of(retry_after: str | None) -> float:
    """Return the seconds that a Retry-After asks for, as a number or as a date; 0 where it asks for none."""
    if not retry_after:
        return 0.0
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time()
        except (TypeError, ValueError):
            return 0.0
    return min(max(0.0, seconds), MAX_RETRY_AFTER) if seconds == seconds else 0.0


def _pool(base: str, ca_certs: str | None) -> urllib3.PoolManager:
    terms: dict[str, Any] = {"maxsize": 1, "ca_certs": ca_certs}
    proxy = proxy_of(base)
    if proxy is None:
        return urllib3.PoolManager(**terms)
    parts = urlsplit(proxy)
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
    return urllib3.ProxyManager(proxy, proxy_headers=make_headers(proxy_basic_auth=login), **terms)


def proxy_of(base: str) -> str | None:
    """Return the proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name for an address; none for this machine's own."""
    parts = urlsplit(base)
    host = parts.hostname or ""
    proxies = getproxies_environment()
    if host in _LOOPBACK or host.startswith("127.") or proxy_bypass_environment(host, proxies):
        return None
    proxy = proxies.get(parts.scheme)
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy
