"""Gateways replaced one by one under load: nobody is refused, and nothing that was answered with 2xx is missing."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import count, pairwise

import aiohttp

from eye.local.remembered_settings import free_port
from schemas.settings import Settings
from schemas.topics import topic_names
from tests.conftest import KEY
from tests.e2e.reader import read_committed
from tests.support.pipeline import EyeProcess, an_event, poll

SENDERS = 16
REPLACEMENTS = int(os.environ.get("EYE_DRILL_RESTARTS", "3"))


class Load:
    """Senders that connect again when their connection breaks, and take no other answer than 202."""

    def __init__(self, url: str, chance: random.Random) -> None:
        self.acknowledged: list[str] = []
        self.refused: list[int] = []
        self.reconnected = 0
        self._url = url
        self._chance = chance
        self._stop = asyncio.Event()

    def has_sent(self, number: int) -> bool:
        """Tell whether so many events were acknowledged."""
        return len(self.acknowledged) >= number

    async def send(self, number: int) -> None:
        """Send one event after the other."""
        timeout = aiohttp.ClientTimeout(total=10)
        async with aiohttp.ClientSession(headers={"X-API-Key": KEY}, timeout=timeout) as session:
            for index in count():
                if self._stop.is_set():
                    return
                event_id = f"{number}-{index}"
                status = await self._send(session, event_id, f"session-{number}")
                if status == 202:
                    self.acknowledged.append(event_id)
                else:
                    self.refused.append(status)

    async def _send(self, session: aiohttp.ClientSession, event_id: str, session_id: str) -> int:
        # some close their connection after each request, most keep it
        headers = {"Connection": "close"} if self._chance.random() < 0.1 else {}
        event = an_event(event_id=event_id, session_id=session_id)
        while True:
            try:
                async with session.post(self._url, json=event, headers=headers) as answer:
                    return answer.status
            except aiohttp.ClientConnectionError:
                self.reconnected += 1

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send meanwhile."""
        senders = [asyncio.create_task(self.send(number)) for number in range(SENDERS)]
        try:
            yield
        finally:
            self._stop.set()
            await asyncio.gather(*senders)


async def test_gateways_replaced_under_load_refuse_nobody_and_lose_nothing(settings: Settings) -> None:
    seed = random.SystemRandom().randrange(10**6)
    port, logs = free_port(), settings.data_dir / "logs"
    gateways = [EyeProcess("gateway", number, settings, logs, port) for number in range(REPLACEMENTS + 1)]
    gateways[0].start()
    poll(gateways[0].is_ready, 60, "the first gateway is ready")
    load = Load(f"{gateways[0].url}/events", random.Random(seed))

    async with load.running():
        for serving, following in pairwise(gateways):
            following.start()
            await asyncio.to_thread(poll, partial(listens, following), 30, "the next gateway listens")
            await asyncio.to_thread(poll, partial(load.has_sent, len(load.acknowledged) + 200), 30, "both serve")
            await asyncio.to_thread(serving.stop, 15)
            assert serving.exit_code() == 0
            assert "Traceback" not in serving.log.read_text()
    gateways[-1].stop(15)

    print(f"seed {seed}: {len(load.acknowledged)} acknowledged, {load.reconnected} sent again")
    assert load.refused == []
    stored = [dict(m.headers())["event_id"].decode() for m in read_committed(settings, topic_names(settings).raw)]
    assert set(load.acknowledged) == set(stored)
    # a request whose connection broke may stand there twice: the stream drops the second one
    assert len(stored) - len(set(stored)) <= load.reconnected


def listens(gateway: EyeProcess) -> bool:
    return gateway.log.exists() and "listening on" in gateway.log.read_text()
