"""The parts that handlers work with, made once for each application and reached by `request.app[GATEWAY]`."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from gateway.access.api_keys import Grant, KeyRing
from gateway.access.tokens import Tokens
from gateway.admission.admission import Admission, Permit
from gateway.connections.certificate import Certificate
from gateway.connections.client_connections import Clients
from gateway.connections.forwarded import TrustedProxies
from gateway.connections.refusals import Refusals
from gateway.ingest.body import BodyReader
from gateway.metrics import Metrics
from gateway.publish.publisher import Publisher
from gateway.query.database import Database
from schemas.rules import Rules
from schemas.settings import Settings


@dataclass(slots=True)
class Gateway:
    """The parts of one gateway."""

    settings: Settings
    rules: Rules
    keys: KeyRing
    tokens: Tokens
    admission: Admission
    bodies: BodyReader
    publisher: Publisher
    database: Database
    metrics: Metrics
    clients: Clients
    proxies: TrustedProxies
    refusals: Refusals
    certificate: Certificate | None = None


GATEWAY = web.AppKey("gateway", Gateway)
GRANT = web.RequestKey("grant", Grant)
PERMIT = web.RequestKey("permit", Permit)
