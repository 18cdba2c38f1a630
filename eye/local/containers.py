"""The same two servers in containers, for a machine that has Docker and lacks Java or the wheel.

Unlike a process of ours, a container lives on when we are killed: the next `start` on the same data takes
its place. Data is kept in a volume of the container's name, which `data_dir` remembers and `docker volume
rm` removes. After `kill`, Kafka takes ten seconds to come back, and a transaction that was being
completed may stay open for ever (KAFKA-20734), which `LocalKafka` guards against.
"""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from eye.local.addresses import BrokerAddress, DatabaseAddress
from eye.local.errors import StartError
from eye.local.kafka import answers, broker_settings
from eye.local.postgres import DATABASE, INITIALISE, SETTINGS, accepts_connections
from eye.local.process import wait_until
from eye.local.remembered_settings import remembered, remembered_port

KAFKA_IMAGE = "apache/kafka:4.3.0"
POSTGRES_IMAGE = "postgres:18"

_READY_SECONDS = 180.0


class Container:
    """One container and its volume, with the methods of a `Process`."""

    def __init__(self, name: str, data_dir: Path, port: int | None) -> None:
        self.data_dir = data_dir.absolute()
        self._name = name
        self._wanted_port = port

    @property
    def running(self) -> bool:
        """True while the container runs; a paused one counts as running."""
        return self.pid is not None

    @property
    def pid(self) -> int | None:
        """The engine's number for the server's process while there is one."""
        found = self._docker("inspect", "--format", "{{.State.Pid}}", self._container)
        return int(found.stdout) or None if found.returncode == 0 else None

    def stop(self, deadline: float = 30) -> None:
        """End the server in good order; kill it when it has not ended after `deadline` seconds."""
        self.resume()
        self._docker("stop", "-t", str(round(deadline)), self._container)

    def kill(self) -> None:
        """End the server at once (SIGKILL)."""
        self._docker("kill", self._container)

    def pause(self) -> None:
        """Let the server hang: connections stay open, nothing answers."""
        self._docker("pause", self._container)

    def resume(self) -> None:
        """Let the server go on after `pause`."""
        self._docker("unpause", self._container)

    def _choose_port(self) -> int:
        self._wanted_port = remembered_port(self.data_dir / "port", self._wanted_port)  # a restart keeps it
        return self._wanted_port

    @property
    def _container(self) -> str:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        return remembered(self.data_dir / "container", lambda: f"the-eye-{self._name}-{secrets.token_hex(4)}")

    def _run(
        self, image: str, ports: str, data: str, environment: Mapping[str, str], command: Sequence[str] = ()
    ) -> None:
        name = self._container
        self._docker("rm", "--force", "--volumes", name)  # those without a name
        options = [
            "--detach",
            "--name",
            name,
            "--publish",
            f"127.0.0.1:{ports}",
            "--volume",
            f"{name}:{data}",
        ]
        variables = [word for key, value in environment.items() for word in ("--env", f"{key}={value}")]
        run = self._docker("run", *options, *variables, image, *command)
        if run.returncode:
            raise StartError(f"Docker could not run {image}: {run.stderr.strip()}")

    def _wait_ready(self, ready: Callable[[], bool]) -> None:
        if not wait_until(lambda: not self.running or ready(), _READY_SECONDS) or not self.running:
            logs = self._docker("logs", "--tail", "20", self._container)
            self.kill()
            raise StartError(f"{self._name} in {self._container} did not start:\n{logs.stdout}{logs.stderr}")

    def _docker(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["docker", *words], capture_output=True, text=True, check=False)


class KafkaContainer(BrokerAddress, Container):
    """Kafka in a container, with the methods of `LocalKafka`."""

    def __init__(self, data_dir: Path, port: int | None = None, extra: Mapping[str, str] | None = None) -> None:
        super().__init__("kafka", data_dir, port)
        self._extra = dict(extra or {})

    def start(self) -> None:
        """Start the container, and return when the broker answers clients. Raises StartError."""
        if self.running:
            return
        self._port = port = self._choose_port()
        # the same port inside, since the broker tells clients its own
        settings = broker_settings("0.0.0.0", port, port + 1) | {"log.dirs": "/var/lib/kafka/data"} | self._extra
        self._run(KAFKA_IMAGE, f"{port}:{port}", "/var/lib/kafka/data", kafka_variables(settings))
        self._wait_ready(lambda: answers(port))


def kafka_variables(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that give Kafka's image these server properties, on a JVM that starts soon."""
    variables = {f"KAFKA_{name.upper().replace('.', '_')}": value for name, value in settings.items()}
    return variables | {"KAFKA_JVM_PERFORMANCE_OPTS": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"}


class PostgresContainer(DatabaseAddress, Container):
    """PostgreSQL in a container, with the methods of `LocalPostgres`."""

    def __init__(self, data_dir: Path, port: int | None = None) -> None:
        super().__init__("postgres", data_dir, port)

    def start(self) -> None:
        """Start the container, and return when the database `eye` can be used. Raises StartError."""
        if self.running:
            return
        port = self._choose_port()
        password = remembered(self.data_dir / "password", lambda: secrets.token_urlsafe(16))
        self._dsn = dsn = f"postgresql://{DATABASE}:{password}@127.0.0.1:{port}/{DATABASE}"
        environment = {
            "POSTGRES_USER": DATABASE,
            "POSTGRES_PASSWORD": password,
            "POSTGRES_DB": DATABASE,
            "POSTGRES_INITDB_ARGS": " ".join(INITIALISE),
        }
        settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        self._run(POSTGRES_IMAGE, f"{port}:5432", "/var/lib/postgresql", environment, settings)
        self._wait_ready(lambda: accepts_connections(dsn))
