"""The problems of requests, and the one place where they become answers (RFC 9457)."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Middleware

from gateway.metrics import Metrics

log = logging.getLogger(__name__)

SERVER = "the-eye"
"""The header Server of all answers, without a version."""

MAX_URL = 8190
"""Longest URL in bytes."""

_LONG_URLS = frozenset({"/i"})
"""Calls with an event in their URL, which has no limit but that of the connection."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ProblemCode(StrEnum):
    """The stable code of a problem, for programs. Never renamed."""

    NOT_JSON = "not_json"
    BAD_ENCODING = "bad_encoding"
    BAD_PARAMETER = "bad_parameter"
    BAD_REQUEST = "bad_request"
    UNAUTHORIZED = "unauthorized"
    INVALID_TOKEN = "invalid_token"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    TOO_LARGE = "too_large"
    TOO_MANY_EVENTS = "too_many_events"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    NO_ACCEPTABLE_EVENT = "no_acceptable_event"
    REQUEST_TIMEOUT = "request_timeout"
    EXPECTATION_FAILED = "expectation_failed"
    HEADERS_TOO_LARGE = "headers_too_large"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    KAFKA_UNAVAILABLE = "kafka_unavailable"
    POSTGRES_UNAVAILABLE = "postgres_unavailable"
    ISSUER_UNAVAILABLE = "issuer_unavailable"
    READ_TIMEOUT = "read_timeout"
    INTERNAL_ERROR = "internal_error"


class Problem(Exception):
    """A request that can't be answered as asked; the message says what to do. `members` join the answer."""

    status = HTTPStatus.BAD_REQUEST
    code = ProblemCode.BAD_REQUEST

    def __init__(
        self,
        detail: str,
        *,
        code: ProblemCode | None = None,
        members: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.code
        self.members = dict(members or {})
        self.headers = dict(headers or {})


class BadRequest(Problem):
    """A request that is wrong: sending it again will not help."""


class Unauthorized(Problem):
    """No key, or none that is known."""

    status, code = HTTPStatus.UNAUTHORIZED, ProblemCode.UNAUTHORIZED

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": 'Bearer realm="The Eye"'})


class InvalidToken(Unauthorized):
    """A token that opens nothing; `reason` is a word for the metric."""

    code = ProblemCode.INVALID_TOKEN

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.headers["WWW-Authenticate"] += f', error="invalid_token", error_description="{detail}"'


class Forbidden(Problem):
    """A key without the scope."""

    status, code = HTTPStatus.FORBIDDEN, ProblemCode.FORBIDDEN


class NotFound(Problem):
    """Nothing by that name, so far."""

    status, code = HTTPStatus.NOT_FOUND, ProblemCode.NOT_FOUND


class TooLarge(Problem):
    """A body or an event above its limit."""

    status, code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE, ProblemCode.TOO_LARGE


class Unsupported(Problem):
    """A content type or an encoding that is not understood."""

    status, code = HTTPStatus.UNSUPPORTED_MEDIA_TYPE, ProblemCode.UNSUPPORTED_MEDIA_TYPE


class NoAcceptableEvent(Problem):
    """A request none of whose events can be stored."""

    status, code = HTTPStatus.UNPROCESSABLE_ENTITY, ProblemCode.NO_ACCEPTABLE_EVENT


class RequestTimeout(Problem):
    """A request that came too slowly; its connection is closed."""

    status, code = HTTPStatus.REQUEST_TIMEOUT, ProblemCode.REQUEST_TIMEOUT


class ExpectationFailed(Problem):
    """A header Expect that is not understood."""

    status, code = HTTPStatus.EXPECTATION_FAILED, ProblemCode.EXPECTATION_FAILED


class HeadersTooLarge(Problem):
    """A head with a line that is too long, or with too many of them."""

    status, code = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, ProblemCode.HEADERS_TOO_LARGE


class RateLimited(Problem):
    """More events than `owner` may send; so many may come after `seconds`."""

    status, code = HTTPStatus.TOO_MANY_REQUESTS, ProblemCode.RATE_LIMITED

    def __init__(self, owner: str, rate: float, seconds: float) -> None:
        detail = f"The {owner} may send {rate:g} events a second."
        super().__init__(detail, headers={"Retry-After": str(math.ceil(seconds))})


class Unavailable(Problem):
    """Kafka, Postgres or the disk is away: the same request may succeed after `Retry-After`."""

    status, code = HTTPStatus.SERVICE_UNAVAILABLE, ProblemCode.KAFKA_UNAVAILABLE

    def __init__(
        self, detail: str, *, code: ProblemCode | None = None, members: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(detail, code=code, members=members, headers={"Retry-After": "1"})


class IssuerUnavailable(Unavailable):
    """The keys of a token's issuer are not there; `fetched` is set when they may be."""

    code = ProblemCode.ISSUER_UNAVAILABLE

    def __init__(self, detail: str, fetched: asyncio.Event | None = None) -> None:
        super().__init__(detail, code=self.code)
        self.fetched = fetched


class Overloaded(Unavailable):
    """More requests, or bytes of them, than the gateway holds at once."""

    code = ProblemCode.OVERLOADED


class InternalError(Problem):
    """A bug. The log has the error; the answer does not."""

    status, code = HTTPStatus.INTERNAL_SERVER_ERROR, ProblemCode.INTERNAL_ERROR


def answer_problems(metrics: Metrics) -> Middleware:
    """Return the middleware that turns whatever a handler raises into `application/problem+json`."""

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if len(request.raw_path) > MAX_URL and request.path not in _LONG_URLS:
                raise HeadersTooLarge(f"A URL has at most {MAX_URL} bytes.")
            return await handler(request)
        except ConnectionError:  # the client has gone: nobody is left to answer
            raise
        except Exception as error:
            return problem_response(to_problem(error, metrics, f"{request.method} {request.path}"))

    return answer


def to_problem(error: Exception, metrics: Metrics, request: str) -> Problem:
    """Return the problem for an error that a handler raised; it is counted, and logged where it is a bug."""
    problem = problem_of(error)
    if isinstance(problem, InternalError):
        log.error("%s failed", request, exc_info=error)
    metrics.problems.labels(problem.code).inc()
    return problem


def problem_response(problem: Problem) -> web.Response:
    """Return the response for a problem."""
    response = web.Response(
        status=problem.status,
        body=problem_body(problem),
        headers={**problem_headers(problem), "Server": SERVER},
    )
    if isinstance(problem, RequestTimeout):
        response.force_close()
    return response


def problem_headers(problem: Problem) -> dict[str, str]:
    """Return the headers of the response for a problem."""
    return {"Content-Type": "application/problem+json", **problem.headers}


def problem_body(problem: Problem) -> bytes:
    """Return a problem as JSON (RFC 9457)."""
    status = HTTPStatus(problem.status)
    body = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": problem.detail,
        "code": problem.code,
        **problem.members,
    }
    return msgspec.json.encode(body)


_HTTP_PROBLEMS = {
    404: (ProblemCode.NOT_FOUND, "There is no such path: GET /openapi.json lists them."),
    405: (ProblemCode.METHOD_NOT_ALLOWED, "This path takes other methods: the header Allow lists them."),
    413: (ProblemCode.TOO_LARGE, "The body is too large."),
}


def problem_of(error: Exception) -> Problem:
    """Return the problem for an error that a handler raised; an InternalError for an unexpected one."""
    match error:
        case Problem():
            return error
        case web.HTTPException():
            return _of_http_exception(error)
        case web.RequestPayloadError() | HttpProcessingError():
            return BadRequest("The body is not what Content-Length or its chunks say.")
    return InternalError("Something is wrong on our side; it has been logged.")


def _of_http_exception(exception: web.HTTPException) -> Problem:
    code, detail = _HTTP_PROBLEMS.get(exception.status, (ProblemCode.BAD_REQUEST, exception.text or exception.reason))
    kept = {name: value for name, value in exception.headers.items() if name in ("Allow", "Location", "Retry-After")}
    problem = Problem(detail, code=code, headers=kept)
    problem.status = HTTPStatus(exception.status)
    return problem
