"""Responses as bytes, for the requests that aiohttp does not answer."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from aiohttp.helpers import rfc822_formatted_time

from gateway.problems import SERVER, Problem, problem_body, problem_headers

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


def response_bytes(status: int, headers: Mapping[str, str], body: bytes, *, close: bool) -> bytes:
    """Return a response of HTTP/1.1; `close`: it is the connection's last."""
    fields = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    last = "Connection: close\r\n" if close else ""
    head = (
        f"HTTP/1.1 {status} {_PHRASES[status]}\r\n{fields}Server: {SERVER}\r\nContent-Length: {len(body)}\r\n"
        f"Date: {rfc822_formatted_time()}\r\n{last}\r\n"
    )
    return head.encode() + body


def problem_bytes(problem: Problem, *, close: bool) -> bytes:
    """Return the response for a problem."""
    return response_bytes(problem.status, problem_headers(problem), problem_body(problem), close=close)
