"""What the pages of the console work with, made once for the process."""

from __future__ import annotations

from dataclasses import dataclass

from eye.console.gateway_reads import GatewayReads, ReadError
from eye.console.jobs import Jobs
from eye.console.metric_history import MetricHistory
from eye.console.visitors import NotAllowed, Visitor, Visitors
from eye.operations.gateways import gateway_urls
from schemas.settings import Settings
from schemas.topics import topic_names

_CHECK_SECONDS = 10.0


@dataclass(slots=True)
class Desk:
    """The parts that pages share."""

    settings: Settings
    visitors: Visitors
    gateway: GatewayReads
    history: MetricHistory
    jobs: Jobs

    async def check(self, visitor: Visitor) -> None:
        """See that a visitor may still read; the gateway is asked every 10 s. Raises NotAllowed.

        While no gateway answers, whoever was let in goes on reading.
        """
        if visitor.gone:
            raise NotAllowed("You are logged out.")
        if self.visitors.age_of_check(visitor) < _CHECK_SECONDS:
            return
        try:
            await self._ask(visitor)
        except ReadError as error:
            if error.status in (401, 403):
                visitor.gone = True
                raise NotAllowed("The key is not valid any more.") from error

    async def check_admin(self, visitor: Visitor) -> None:
        """See that a visitor may change data, by asking the gateway now. Raises NotAllowed."""
        if visitor.gone:
            raise NotAllowed("You are logged out.")
        try:
            await self._ask(visitor)
        except ReadError as error:
            raise NotAllowed(f"The key can't be verified: {error}") from error
        if not visitor.is_admin:
            raise NotAllowed("This needs a key with the scope admin.")

    async def _ask(self, visitor: Visitor) -> None:
        _, scopes = await self.gateway.scopes(visitor.key)
        self.visitors.confirm(visitor, scopes)
        if not visitor.may_read:
            visitor.gone = True
            raise NotAllowed("The key may not read any more.")


def make_desk(settings: Settings) -> Desk:
    """Return the parts for a deployment."""
    topics, gateway = topic_names(settings), GatewayReads(settings)
    stages = {
        topics.raw: "stream",
        topics.validated: "sink events",
        topics.rejected: "sink rejected_events",
        topics.sessions: "sink sessions",
    }
    history = MetricHistory([*(gateway_urls(settings) or gateway.urls), *worker_urls(settings)], stages)
    return Desk(settings, Visitors(), gateway, history, Jobs(settings))


def worker_urls(settings: Settings) -> list[str]:
    """Return the addresses of the workers whose metrics are shown."""
    if settings.console_metrics_urls:
        return [url.rstrip("/") for url in settings.console_metrics_urls]
    host = "127.0.0.1" if settings.worker_host in ("0.0.0.0", "::", "") else settings.worker_host
    return [f"http://{host}:{port}" for port in (settings.stream_port, settings.sinks_port) if port]
