"""The admin port: metrics and the details of readiness, for those who run the gateway and nobody else."""

from __future__ import annotations

from aiohttp import web

from gateway.context import GATEWAY, Gateway
from gateway.problems import answer_problems
from gateway.routes.health import get_healthz, get_metrics, get_readyz


def build_admin_app(gateway: Gateway) -> web.Application:
    """Return the application behind the admin port of a gateway; it speaks plain HTTP and needs no key."""
    app = web.Application(middlewares=[answer_problems(gateway.metrics)])
    app[GATEWAY] = gateway
    app.add_routes([web.get("/healthz", get_healthz), web.get("/readyz", get_readyz), web.get("/metrics", get_metrics)])
    return app
