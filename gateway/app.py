"""The gateway's application: its routes with their access, and the tasks that run beside the requests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from functools import partial
from typing import Any, NamedTuple

from aiohttp import web
from prometheus_client import CollectorRegistry

from gateway.access.api_keys import KeyRing
from gateway.access.authorization import Access
from gateway.access.tokens import Tokens
from gateway.admission.admission import Admission
from gateway.connections.certificate import Certificate, certificate_files
from gateway.connections.client_connections import Clients
from gateway.connections.forwarded import TrustedProxies
from gateway.connections.refusals import Refusals
from gateway.context import GATEWAY, Gateway
from gateway.ingest.body import BodyReader
from gateway.ingest.formats.format import Format
from gateway.ingest.formats.registry import FORMATS
from gateway.live.tail import Tail
from gateway.metrics import Metrics
from gateway.outgoing import RECORD_OVERHEAD
from gateway.problems import Handler, answer_problems
from gateway.publish.producer import BATCH_BYTES
from gateway.publish.publisher import Publisher
from gateway.query.clusters import accepted_cluster
from gateway.query.database import Database
from gateway.request_spans import traced
from gateway.routes.browser_client import browser_client
from gateway.routes.client_reports import post_client_report
from gateway.routes.cors import allow_origins
from gateway.routes.docs import DocsPage
from gateway.routes.event_stream import TAIL, get_event_stream
from gateway.routes.events import post_events, validate_events
from gateway.routes.fast_path import FastPath
from gateway.routes.formats import answering_problems, by_content, get_segment_settings, receiver, validate_as
from gateway.routes.guard import check_expectation, guarded, track_requests
from gateway.routes.health import get_healthz, get_metrics, get_readyz, get_short_readyz
from gateway.routes.key import get_key
from gateway.routes.listings import EXPORTS
from gateway.routes.openapi import Description, openapi
from gateway.routes.reads import (
    get_error_summary,
    get_errors,
    get_event,
    get_events,
    get_session,
    get_session_events,
    get_sessions,
)
from gateway.routes.schemas import get_schema, get_schemas
from gateway.routes.trace import TRACING, Tracing, get_trace
from schemas.settings import Settings, SettingsError
from schemas.spans import Spans


class Route(NamedTuple):
    """One call of the gateway.

    `format`: it is another sender's, whose key may be in the body. `lasts`: an answer may go on for hours.
    """

    method: str
    path: str
    handler: Handler
    access: Access
    format: Format | None = None
    lasts: bool = False


def build_app(
    settings: Settings, registry: CollectorRegistry | None = None, spans: Spans | None = None
) -> web.Application:
    """Return the gateway as an application; it connects when it is started, and waits for none.

    It is to be served by `gateway.server`, on connections of its `Clients`. Raises SettingsError or
    CatalogueError for settings that can't be used.
    """
    if settings.max_event_bytes + RECORD_OVERHEAD > BATCH_BYTES:
        raise SettingsError(f"EYE_MAX_EVENT_BYTES is at most {BATCH_BYTES - RECORD_OVERHEAD}: Kafka takes no more.")
    if settings.spool_max_bytes and settings.spool_after_seconds >= settings.acknowledge_seconds:
        raise SettingsError("EYE_SPOOL_AFTER_SECONDS must be less than EYE_ACKNOWLEDGE_SECONDS.")
    if settings.gateway_admin_port and settings.gateway_admin_port == settings.gateway_port:
        raise SettingsError("EYE_GATEWAY_ADMIN_PORT has to be another port than EYE_GATEWAY_PORT.")
    metrics = Metrics(registry)
    clients = Clients(settings, metrics)
    files = certificate_files(settings)
    tokens, database = Tokens(metrics), Database(settings)
    keys = KeyRing(settings.applications_file, tokens=tokens)
    admission = Admission(
        keys, metrics, max_requests=settings.max_requests_under_way, max_bytes=settings.max_bytes_under_way
    )
    app = web.Application(
        middlewares=[track_requests(admission, clients, metrics), allow_origins(keys), answer_problems(metrics)]
    )
    app[GATEWAY] = Gateway(
        settings=settings,
        rules=settings.rules(),
        keys=keys,
        tokens=tokens,
        admission=admission,
        bodies=BodyReader(settings),
        publisher=Publisher(settings, metrics, partial(accepted_cluster, database, settings.topic_prefix)),
        database=database,
        metrics=metrics,
        clients=clients,
        proxies=TrustedProxies(settings.trusted_proxies),
        refusals=Refusals(),
        certificate=None if files is None else Certificate(files, metrics),
    )
    app[TRACING] = Tracing()
    app[EXPORTS] = [0]
    app[TAIL] = Tail(settings, app[GATEWAY].publisher.guard)
    if spans is None:
        clients.fast_path = FastPath(app[GATEWAY])
    for route in _routes(app[GATEWAY], spans):
        # of its own accord aiohttp takes no brace in a part of a path, where an id may have one
        path = route.path.replace("}", ":[^/]+}")
        app.router.add_route(route.method, path, _guarded(route), expect_handler=check_expectation)
        if route.method == "GET" and route.format is None:
            app.router.add_route("HEAD", path, _guarded(route))
    app.cleanup_ctx.extend([_publishing, _reading, _measuring_lag, _watching_certificate, _keeping_issuers])
    return app


def _guarded(route: Route) -> Handler:
    if route.access is Access.OPEN:
        return route.handler
    handler = guarded(route.handler, route.access, key_may_follow=route.format is not None, lasts=route.lasts)
    return handler if route.format is None else answering_problems(handler, route.format)


def _routes(gateway: Gateway, spans: Spans | None) -> list[Route]:
    description = Description(openapi(gateway.settings, gateway.rules.catalogue))
    page = DocsPage()
    return [
        Route("POST", "/events", traced(by_content(post_events), "/events", spans), Access.WRITE),
        Route("POST", "/events/", traced(by_content(post_events), "/events/", spans), Access.WRITE),
        Route("POST", "/events/validate", by_content(validate_events, validate_as), Access.WRITE_OR_READ),
        Route("POST", "/client-reports", post_client_report, Access.WRITE),
        Route("GET", "/events", get_events, Access.READ),
        Route("GET", "/events/", get_events, Access.READ),
        Route("GET", "/events/stream", get_event_stream, Access.READ, lasts=True),
        Route("GET", "/events/{event_id}", get_event, Access.READ),
        Route("GET", "/events/{event_id}/trace", get_trace, Access.READ),
        Route("GET", "/sessions", get_sessions, Access.READ),
        Route("GET", "/sessions/{session_id}", get_session, Access.READ),
        Route("GET", "/sessions/{session_id}/events", get_session_events, Access.READ),
        Route("GET", "/errors", get_errors, Access.READ),
        Route("GET", "/errors/summary", get_error_summary, Access.READ),
        Route("GET", "/key", get_key, Access.ANY_KEY),
        Route("GET", "/schemas", get_schemas, Access.ANY_KEY),
        Route("GET", "/schemas/{category}/{name}", get_schema, Access.ANY_KEY),
        Route("GET", "/healthz", get_healthz, Access.OPEN),
        *_status_routes(gateway.settings),
        Route("GET", "/openapi.json", description.get, Access.OPEN),
        Route("GET", "/docs", page.get_page, Access.OPEN),
        Route("GET", "/docs/{file}", page.get_file, Access.OPEN),
        Route("GET", "/eye.js", browser_client(), Access.OPEN),
        Route("GET", "/v1/projects/{write_key}/settings", get_segment_settings, Access.OPEN),
        *(
            Route(call.method, path, traced(receiver(format), path, spans), Access.WRITE, format)
            for format in FORMATS
            for call in format.calls
            for path in call.paths
        ),
    ]


def _status_routes(settings: Settings) -> list[Route]:
    if settings.gateway_admin_port is not None:
        return [Route("GET", "/readyz", get_short_readyz, Access.OPEN)]
    return [
        Route("GET", "/readyz", get_readyz, Access.OPEN),
        Route("GET", "/metrics", get_metrics, Access.OPEN),
    ]


async def _publishing(app: web.Application) -> AsyncIterator[None]:
    publisher = app[GATEWAY].publisher
    await publisher.start()
    yield
    await publisher.stop()


async def _reading(app: web.Application) -> AsyncIterator[None]:
    database = app[GATEWAY].database
    await database.open()
    yield
    await database.close()


async def _measuring_lag(app: web.Application) -> AsyncIterator[None]:
    gateway = app[GATEWAY]
    async with _beside(gateway.admission.measure_lag(), "event loop lag"):
        yield
    gateway.bodies.close()


async def _watching_certificate(app: web.Application) -> AsyncIterator[None]:
    certificate = app[GATEWAY].certificate
    if certificate is None:
        yield
        return
    async with _beside(certificate.watch(), "certificate"):
        yield


async def _keeping_issuers(app: web.Application) -> AsyncIterator[None]:
    async with _beside(app[GATEWAY].tokens.keep_keys(app[GATEWAY].keys.refresh), "keys of issuers"):
        yield


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """Do endless work beside the requests."""
    task = asyncio.create_task(work, name=name)
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
