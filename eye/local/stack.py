"""The stack on this machine: Kafka, Postgres and the three processes, kept running."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from eye.local import local_http
from eye.local.choice import Server, choose_kafka, choose_postgres
from eye.local.data_dir import claim_data_dir
from eye.local.environment import drop_foreign_variables
from eye.local.errors import LocalError
from eye.local.process import Process
from eye.local.registry import StackInfo, StackPart, process_start, remove_stack, write_stack
from eye.local.remembered_settings import free_port
from eye.operations.clusters import accept, cluster_state, demand_own_cluster, write_down
from eye.operations.gateway_tls import gateway_context
from eye.operations.keys import local_key
from eye.operations.topics import create_topics
from schemas.settings import Settings
from sinks.postgres.migrate import migrate

_READY_SECONDS = 60.0
_STOP_SECONDS = 15.0


class Component(Process):
    """One of our own processes, as a child; `url` is where its status page is, `context` how it is trusted there."""

    def __init__(self, name: str, settings: Settings, url: str, context: ssl.SSLContext | None = None) -> None:
        super().__init__(name, settings.data_dir / "logs", signal.SIGTERM, env=environment(settings))
        self.name = name
        self.url = url
        self.context = context

    def start(self) -> None:
        """Launch it, without waiting."""
        self._prepare()
        self._launch([sys.executable, "-m", "eye", self.name])

    def wait_ready(self) -> None:
        """Wait until it says that it is ready. Raises StartError, with the end of its log, when it never is."""
        self._wait_ready(lambda: _answers(f"{self.url}/readyz", self.context), _READY_SECONDS)


class Stack:
    """The servers and processes of `eye up`. A context manager: leaving it stops everything in the order of the flow.

    A server that the settings name is used as it is; the others are started here, on the usual ports or on
    free ones. `say` gets a sentence for each thing that happens.
    """

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self._say = say
        self._lock, data_dir = claim_data_dir(settings.data_dir)
        if data_dir != settings.data_dir:
            say(f"A stack runs in {settings.data_dir} already; this one keeps its data in {data_dir}.")
        self.settings = settings.model_copy(update={"data_dir": data_dir})
        self._servers: dict[str, Server] = {}
        self._addresses: dict[str, Callable[[], object]] = {}
        self._started_at = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%SZ}"
        self.components: list[Component] = []
        self.key = ""

    def __enter__(self) -> Self:
        try:
            self._start_servers()
            asyncio.run(migrate(self.settings.dsn))
            self._know_cluster()
            asyncio.run(create_topics(self.settings))
            self.key = local_key(self.settings.data_dir, self.settings.applications_file)
            self._start_components()
            self._describe()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The gateway's address."""
        scheme = "http" if self.settings.tls_certfile is None else "https"
        return f"{scheme}://{self.settings.gateway_host}:{self.settings.gateway_port}"

    @property
    def console_url(self) -> str | None:
        """The console's address; None where its extra is not installed."""
        url = f"http://{self.settings.console_host}:{self.settings.console_port}"
        return url if find_spec("nicegui") else None

    @cached_property
    def context(self) -> ssl.SSLContext | None:
        """The TLS context that trusts the gateway; None where it speaks plain HTTP."""
        return gateway_context(self.settings, own=True) if self.settings.tls_certfile else None

    def _admin_port(self) -> dict[str, int]:
        wanted = self.settings.gateway_admin_port
        return {} if wanted is None else {"gateway_admin_port": free_port(wanted)}

    def _gateway(self) -> Component:
        settings = self.settings
        if settings.gateway_admin_port is None:
            return Component("gateway", settings, self.url, self.context)
        return Component("gateway", settings, f"http://{settings.gateway_host}:{settings.gateway_admin_port}")

    def restart_ended(self) -> None:
        """Start again what has ended by itself; our processes too, where a server came back at another address."""
        processes = {**self._servers, **{component.name: component for component in self.components}}
        for name, process in processes.items():
            if not process.running:
                self._say(
                    f"{name} ended by itself and is started again; its log is {_log_of(process) or 'with Docker'}."
                )
                process.start()
                self._describe()
        self._follow_servers()

    def stop(self) -> None:
        """Stop all of it: what sends first, what stores last."""
        for component in self.components:
            component.stop(_STOP_SECONDS)
        for server in reversed(self._servers.values()):
            server.stop()
        remove_stack(self.settings.data_dir)
        self._lock.close()

    def _start_servers(self) -> None:
        data_dir = self.settings.data_dir
        if self.settings.postgres_dsn is None:
            drop_foreign_variables()
        if self.settings.kafka_bootstrap_servers is None:
            kafka, why = choose_kafka(data_dir / "kafka", 9092)
            self._start_server("Kafka", kafka, why)
            self._addresses["kafka_bootstrap_servers"] = lambda: kafka.bootstrap_servers
        if self.settings.postgres_dsn is None:
            postgres, why = choose_postgres(data_dir / "postgres", 5432)
            self._start_server("PostgreSQL", postgres, why)
            self._addresses["postgres_dsn"] = lambda: SecretStr(postgres.dsn)
        self.settings = self.settings.model_copy(update=self._found())

    def _found(self) -> dict[str, object]:
        """Return the settings that name the servers of this stack, as they are now."""
        return {setting: address() for setting, address in self._addresses.items()}

    def _follow_servers(self) -> None:
        """Start our processes again where a server of this stack has another address than before."""
        found = self._found()
        if all(getattr(self.settings, setting) == address for setting, address in found.items()):
            return
        self.settings = self.settings.model_copy(update=found)
        kafka, database = self.settings.kafka_bootstrap_servers, conninfo_to_dict(self.settings.dsn)
        self._say(
            f"A server came back on another port: Kafka is at {kafka}, PostgreSQL at port {database.get('port')};"
            " our processes are started again."
        )
        for component in self.components:
            component.stop(_STOP_SECONDS)
        self.components = self._make_components()
        for component in self.components:
            component.start()
        self._describe()

    def _know_cluster(self) -> None:
        """Have our processes take no other Kafka for this stack's. Raises ForeignCluster, LocalError.

        A Kafka that was made anew beside an older PostgreSQL, both of this stack, is the right one; another one is so
        where the settings name it.
        """
        if "PostgreSQL" in self._servers:
            state = asyncio.run(cluster_state(self.settings))
            if state.found is not None and state.differences:
                if "Kafka" not in self._servers and self.settings.kafka_cluster_id != state.found:
                    raise LocalError(
                        f"Kafka is cluster {state.found}, but {'; '.join(state.differences)}. Is it the right one,"
                        f" start with EYE_KAFKA_CLUSTER_ID={state.found}."
                    )
                self._say(f"Kafka is another cluster now, {state.found}: it is read from its beginning.")
                asyncio.run(accept(self.settings, state.found, keep_positions=False))
        asyncio.run(demand_own_cluster(self.settings))
        asyncio.run(write_down(self.settings))

    def _start_server(self, name: str, server: Server, why: str) -> None:
        self._say(why)
        self._servers[name] = server
        server.start()

    def _start_components(self) -> None:
        stream_port, sinks_port = (free_port() for _ in range(2))
        ports = {
            "gateway_port": free_port(self.settings.gateway_port),
            **self._admin_port(),
            "console_port": free_port(self.settings.console_port),
            "stream_port": self.settings.stream_port or stream_port,
            "sinks_port": self.settings.sinks_port or sinks_port,
        }
        self.settings = self.settings.model_copy(update=ports)
        self.components = self._make_components()
        for component in self.components:
            component.start()
        for component in self.components:
            component.wait_ready()

    def _make_components(self) -> list[Component]:
        settings, status = self.settings, f"http://{self.settings.worker_host}"
        made = [
            self._gateway(),
            Component("stream", settings, f"{status}:{settings.stream_port}"),
            Component("sinks", settings, f"{status}:{settings.sinks_port}"),
        ]
        return [*made, Component("console", settings, self.console_url)] if self.console_url else made

    def _describe(self) -> None:
        """Write down what runs, for other commands."""
        settings = self.settings
        write_stack(
            settings.data_dir,
            StackInfo(
                url=self.url,
                key=self.key,
                environment=environment(settings),
                data_dir=str(settings.data_dir.absolute()),
                process=(os.getpid(), process_start(os.getpid()) or ""),
                started_at=self._started_at,
                version=version("the-eye"),
                parts=self._parts(),
            ),
        )

    def _parts(self) -> list[StackPart]:
        database = conninfo_to_dict(self.settings.dsn)
        addresses = {
            "Kafka": self.settings.kafka_bootstrap_servers or "",
            "PostgreSQL": f"{database.get('host')}:{database.get('port')}",
            **{component.name: component.url for component in self.components},
        }
        servers = {**self._servers, **{component.name: component for component in self.components}}
        return [
            StackPart(name, address, server.pid, _log_of(server))
            if (server := servers.get(name))
            else StackPart(name, address)
            for name, address in addresses.items()
        ]


def environment(settings: Settings) -> dict[str, str]:
    """Return the variables that make another process, wherever it runs, read these settings."""
    names = settings.model_fields_set | {"kafka_bootstrap_servers", "postgres_dsn", "data_dir"}
    values = {name: _as_text(getattr(settings, name)) for name in names}
    return {f"EYE_{name.upper()}": text for name, text in values.items() if text is not None}


def _as_text(value: object) -> str | None:
    """Write a setting as its variable has it, paths in full."""
    match value:
        case None:
            return None
        case SecretStr():
            return value.get_secret_value()
        case Path():
            return str(value.absolute())
        case list():
            return ",".join(str(Path(place).absolute()) if Path(place).is_dir() else place for place in value)
    return str(value)


def _log_of(process: object) -> str | None:
    log = getattr(process, "log", None)
    return None if log is None else str(log)


def _answers(url: str, context: ssl.SSLContext | None) -> bool:
    try:
        return local_http.get(url, context)[0] == 200
    except OSError:
        return False
