"""What every handler works with: made once for each application, reached by `request.app[GATEWAY]`."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from gateway.database import Database
from gateway.intake import Reader
from gateway.keys import Grant, KeyRing
from gateway.metrics import Metrics
from gateway.publisher import Publisher
from schemas.rules import Rules
from schemas.settings import Settings


@dataclass(slots=True)
class Gateway:
    """The parts of one gateway. `stopping`: it answers what it has, and is ready for no more."""

    settings: Settings
    rules: Rules
    keys: KeyRing
    reader: Reader
    publisher: Publisher
    database: Database
    metrics: Metrics
    stopping: bool = False


GATEWAY = web.AppKey("gateway", Gateway)
GRANT = web.RequestKey("grant", Grant)
