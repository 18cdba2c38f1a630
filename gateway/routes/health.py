"""GET /healthz, /readyz and /metrics."""

from __future__ import annotations

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gateway.context import GATEWAY
from gateway.spool.file_names import this_owner


async def get_healthz(_: web.Request) -> web.Response:
    """Return 200: the process answers."""
    return _json(200, {"status": "alive"})


async def get_readyz(request: web.Request) -> web.Response:
    """Return 200 when events can be accepted, by Kafka or by the spool; Postgres is shown, but only reads need it."""
    gateway = request.app[GATEWAY]
    gateway.keys.refresh()
    keys = None if gateway.keys.loaded else gateway.keys.fault
    stopping = "the gateway is stopping" if gateway.clients.closing else None
    publisher, spool = gateway.publisher, gateway.publisher.spool
    reasons = [reason for reason in (*publisher.faults, keys, stopping) if reason is not None]
    checks = {
        "kafka": publisher.kafka_fault or "ok",
        "limits": publisher.limit_fault or "ok",
        "spool": spool.fault or spool.remark or "ok",
        "keys": gateway.keys.fault or "ok",
        "postgres": await gateway.database.fault() or "ok",
    }
    if gateway.tokens.any:
        checks["issuers"] = gateway.tokens.fault or "ok"
    if gateway.certificate is not None:
        checks["tls"] = gateway.certificate.fault or "ok"
    status = "unready" if reasons else "ready"
    depth: dict[str, object] = {
        "records": spool.records,
        "bytes": spool.bytes,
        "oldest_seconds": round(spool.oldest_seconds, 3),
        "refused": spool.refused,
        "owner": this_owner(),
    }
    answer: dict[str, object] = {"status": status, "reasons": reasons, "checks": checks, "spool": depth}
    answer["keys_version"] = gateway.keys.version
    answer["keys_used"] = gateway.keys.last_used
    return _json(503 if reasons else 200, answer)


async def get_short_readyz(request: web.Request) -> web.Response:
    """Return the status of `/readyz` without its details, which are on the admin port."""
    full = await get_readyz(request)
    return _json(full.status, {"status": "ready" if full.status == 200 else "unready"})


async def get_metrics(request: web.Request) -> web.Response:
    """Return the metrics of this process, for Prometheus."""
    body = generate_latest(request.app[GATEWAY].metrics.registry)
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


def _json(status: int, value: dict[str, object]) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(value), content_type="application/json")
