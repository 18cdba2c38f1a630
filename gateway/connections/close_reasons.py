"""The reasons for which the gateway closes a connection, as metric, log and answer have them."""

from __future__ import annotations

from enum import StrEnum

from aiohttp.http_exceptions import LineTooLong

from gateway.problems import BadRequest, HeadersTooLarge, Problem


class Reason(StrEnum):
    """The reason for which the gateway closed a connection."""

    TOO_MANY = "too_many"
    MADE_ROOM = "made_room"
    SLOW_HEAD = "slow_head"
    SLOW_READER = "slow_reader"
    MALFORMED = "malformed"
    TLS = "tls"
    PLAIN_HTTP = "plain_http"
    HANDSHAKE = "handshake"
    SLOW_HANDSHAKE = "slow_handshake"


SENTENCES = {
    Reason.TOO_MANY: "all connections are busy; more would be needed than EYE_MAX_CONNECTIONS",
    Reason.MADE_ROOM: "it had waited longest, and another needed the room: see EYE_MAX_CONNECTIONS",
    Reason.SLOW_HEAD: "the head of its request took too long",
    Reason.SLOW_READER: "it did not read its answer",
    Reason.MALFORMED: "it sent bytes that are no HTTP",
    Reason.TLS: "it speaks TLS, and this port speaks plain HTTP: use http://, or set EYE_TLS_CERTFILE",
    Reason.PLAIN_HTTP: "it does not speak TLS, and this port does: use https://",
    Reason.HANDSHAKE: "its TLS handshake failed",
    Reason.SLOW_HANDSHAKE: "its TLS handshake took too long",
}


def malformed(error: BaseException | None) -> Problem:
    """Return the problem of a request that is no HTTP."""
    if isinstance(error, LineTooLong):
        detail = "A line of the request's head is too long."
        # a Snowplow tracker sends again for ever what is answered with 431
        return BadRequest(detail) if bytes(error.args[0]).startswith(b"/i?") else HeadersTooLarge(detail)
    return BadRequest("This is no valid HTTP request.")
