"""A deployment in which each part may do no more than it needs.

    python -m tests.faults.secure [--events 2000]

Kafka by TLS, SASL (SCRAM-SHA-512) and ACLs; Postgres with a role for each part, and a replica for the reads; two
gateways behind one port, one of which is killed under load. Every documented route is asked, every command run as the
user it is for, and some as one who lacks a right. Prints what was held, and exits 1 when something was not.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import psycopg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAuthorizationFailedError
from pydantic import SecretStr

from eye.local.process import wait_until
from eye.local.remembered_settings import free_port
from eye.operations.wait_until_stored import wait_until_stored
from schemas.settings import Settings
from tests.conftest import KEY, write_key
from tests.faults.harness.replica import is_replica
from tests.faults.harness.rights import try_commands, try_routes
from tests.faults.harness.secured import ADMIN, Secured, secured
from tests.support.pipeline import EyeProcess, an_event, ndjson

BATCH = 20
SENDERS = 4


class Deployment:
    """Two gateways behind one port, two stream and two sink workers, each as its own user."""

    def __init__(self, secured: Secured) -> None:
        port, logs = free_port(), secured.directory / "logs"
        of = secured.settings
        write_key(of["eye-gateway"])
        self.gateways = [EyeProcess("gateway", n, of["eye-gateway"], logs, port) for n in range(2)]
        self.workers = [EyeProcess("stream", n, of["eye-stream"], logs) for n in range(2)]
        self.workers += [EyeProcess("sinks", n, of["eye-sinks"], logs) for n in range(2)]
        self.url = self.gateways[0].url

    def __enter__(self) -> Deployment:
        for process in (*self.gateways, *self.workers):
            process.start()
        if not wait_until(lambda: all(process.is_ready() for process in (self.gateways[0], *self.workers)), 120):
            ends = [process.log.read_text()[-1500:] for process in (*self.gateways, *self.workers)]
            self.__exit__()
            raise RuntimeError("not ready:\n" + "\n---\n".join(ends))
        return self

    def __exit__(self, *_: object) -> None:
        for process in (*self.gateways, *self.workers):
            process.stop(15)


class Load:
    """Several senders at once, each batch again until it is acknowledged, on a new connection each time."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.acknowledged: set[str] = set()
        self.cut = 0

    async def send(self, number: int, kill: Callable[[], None]) -> None:
        """Send so many events; kill when half of them are there, while the other senders wait for their answers."""
        batches, half = iter(range(number // BATCH)), asyncio.Event()

        async def sender() -> None:
            for _ in batches:
                await self._send()
                if len(self.acknowledged) >= number // 2:
                    half.set()

        async def killer() -> None:
            await half.wait()
            kill()

        await asyncio.gather(killer(), *(sender() for _ in range(SENDERS)))

    async def send_invalid(self) -> None:
        """Send an event that is stored as a rejected one."""
        headers = {"Authorization": f"Bearer {KEY}"}
        async with aiohttp.request("POST", f"{self._url}/events/", json=an_event(name="dance"), headers=headers) as one:
            assert one.status == 202, await one.text()

    async def _send(self) -> None:
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/x-ndjson"}
        events = [an_event(session_id=f"s-{index % 7}") for index in range(BATCH)]
        while not self.acknowledged.issuperset(event["event_id"] for event in events):
            try:
                # a new connection each time: the system deals them to the processes
                url = f"{self._url}/events/"
                async with aiohttp.request("POST", url, data=ndjson(events), headers=headers) as response:
                    answer = await response.json(content_type=None)
            except aiohttp.ClientError:
                self.cut += 1
                continue
            self.acknowledged.update(r["event_id"] for r in answer.get("results", []) if r["status"] == "ok")


async def refusals(secured: Secured) -> dict[str, bool]:
    """Try what must not be possible; returns for each whether it was refused."""
    of = secured.settings
    stranger = of["eye-gateway"].model_copy(update={"kafka_sasl_password": SecretStr("guess")})
    trusting_others = of["eye-gateway"].model_copy(update={"kafka_ssl_cafile": None})
    return {
        "gateway writes events.validated": await _refused(_write(of["eye-gateway"], "events.validated")),
        "gateway reads sessions": await _refused(_read(of["eye-gateway"], "sessions")),
        "stream writes events.raw": await _refused(_write(of["eye-stream"], "events.raw")),
        "sinks write events.validated": await _refused(_write(of["eye-sinks"], "events.validated")),
        "sinks read events.raw": await _refused(_read(of["eye-sinks"], "events.raw")),
        "a wrong password to Kafka": await _refused(_write(stranger, "events.raw"), KafkaConnectionError),
        "a broker that an unknown authority signed": await _refused(
            _write(trusting_others, "events.raw"), KafkaConnectionError
        ),
        "gateway writes a row": _forbidden(of["eye-gateway"], "insert into eye.sink_positions values ('s', 't', 0, 0)"),
        "gateway writes to the primary": _forbidden(
            _on_primary(secured), "insert into eye.sink_positions values ('s', 't', 0, 0)"
        ),
        "sinks drop a table": _forbidden(of["eye-sinks"], "drop table eye.events"),
        "sinks change a table": _forbidden(of["eye-sinks"], "alter table eye.events add column more int"),
        "sinks make a table": _forbidden(of["eye-sinks"], "create table eye.more (a int)"),
        "sinks make a table elsewhere": _forbidden(of["eye-sinks"], "create table public.more (a int)"),
    }


def _on_primary(secured: Secured) -> Settings:
    settings = secured.settings["eye-gateway"]
    port = psycopg.conninfo.conninfo_to_dict(secured.primary.dsn)["port"]
    dsn = psycopg.conninfo.make_conninfo(settings.read_dsn or "", port=port)
    return settings.model_copy(update={"postgres_read_dsn": SecretStr(dsn)})


async def _refused(attempt: Awaitable[object], by: type[KafkaError] = TopicAuthorizationFailedError) -> bool:
    try:
        async with asyncio.timeout(20):
            await attempt
    except by:
        return True
    return False


async def _write(settings: Settings, topic: str) -> None:
    producer = AIOKafkaProducer(**settings.kafka_client(), request_timeout_ms=5_000)
    try:
        await producer.start()
        await producer.send_and_wait(topic, b"{}")
    finally:
        await producer.stop()


async def _read(settings: Settings, topic: str) -> None:
    consumer = AIOKafkaConsumer(topic, **settings.kafka_client(), request_timeout_ms=5_000)
    try:
        await consumer.start()
        await consumer.getone()
    finally:
        await consumer.stop()


def _forbidden(settings: Settings, statement: str) -> bool:
    try:
        with psycopg.connect(settings.read_dsn or "") as connection:
            connection.execute(statement.encode())
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction):
        return True
    return False


def drill(directory: Path, events: int) -> dict[str, object]:
    """Run it all; returns the figures, where False is a promise broken."""
    with secured(directory) as made, Deployment(made) as deployment:
        load = Load(deployment.url)
        asyncio.run(load.send_invalid())
        asyncio.run(load.send(events, deployment.gateways[1].kill))
        admin = made.settings[ADMIN]
        asyncio.run(wait_until_stored(admin, 120))
        with psycopg.connect(admin.dsn) as connection:
            rows = {found for (found,) in connection.execute("select event_id::text from eye.events")}
        event_id = min(rows)
        return {
            "events acknowledged": len(load.acknowledged),
            "rows": len(rows),
            "connections cut when a gateway was killed": load.cut,
            "all events are rows": rows == load.acknowledged,
            "the replica follows": is_replica(made.replica.dsn),
            "the replica has the rows": wait_until(lambda: _count(made.replica.dsn) == len(rows), 30),
            "reads come from the replica": _reads_without_primary(deployment, made),
            **asyncio.run(try_routes(deployment.url, event_id, "s-0")),
            **{f"refused: {what}": held for what, held in asyncio.run(refusals(made)).items()},
            **spared(made, event_id, deployment),
        }


def spared(made: Secured, event_id: str, deployment: Deployment) -> dict[str, object]:
    """Run every command as its user; the spool directory is looked at once no gateway lives there."""
    for gateway in deployment.gateways:
        gateway.stop(15)
    return dict(try_commands(made.settings, event_id))


def _count(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        (count,) = connection.execute("select count(*) from eye.events").fetchone() or (0,)
    return int(count)


def _reads_without_primary(deployment: Deployment, made: Secured) -> bool:
    """Let the primary hang: reads go on."""

    async def read() -> int:
        headers = {"Authorization": f"Bearer {KEY}"}
        async with aiohttp.request("GET", f"{deployment.url}/events?limit=5", headers=headers) as response:
            return len((await response.json())["events"])

    made.primary.pause()
    try:
        return asyncio.run(read()) == 5
    finally:
        made.primary.resume()


def main() -> None:
    """Run the drill."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=2000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)  # Postgres, which is not root, has to come through
        figures = drill(Path(directory), options.events)
    for name, value in figures.items():
        print(f"{name:<60}{value}")
    if any(value is False or isinstance(value, str) for value in figures.values()):
        sys.exit("not all of it was held")


if __name__ == "__main__":
    main()
