"""What every handler works with: made once for each application, reached by `request.app[GATEWAY]`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from aiohttp import web

from gateway.access.api_keys import Grant, KeyRing
from gateway.access.rate_limits import Rates
from gateway.admission.requests import Traffic
from gateway.connections.client_connections import Clients
from gateway.ingest.event_reader import Reader
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
    reader: Reader
    publisher: Publisher
    database: Database
    metrics: Metrics
    traffic: Traffic
    clients: Clients
    rates: Rates
    threads: ThreadPoolExecutor


GATEWAY = web.AppKey("gateway", Gateway)
GRANT = web.RequestKey("grant", Grant)
