"""What every handler works with: made once for each application, reached by `request.app[GATEWAY]`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from aiohttp import web

from gateway.clients import Clients
from gateway.database import Database
from gateway.intake import Reader
from gateway.keys import Grant, KeyRing
from gateway.metrics import Metrics
from gateway.publisher import Publisher
from gateway.rates import Rates
from gateway.traffic import Traffic
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
