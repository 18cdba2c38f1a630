"""Kafka clusters of several nodes on this machine, plain or secured, for the drills."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from eye.local.classpath import kafka_classpath
from eye.local.kafka import broker_settings
from eye.local.process import Process
from eye.local.remembered_settings import free_port
from eye.local.tools import find_java

_JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Xmx384m")
_LOG4J = Path(__file__).parents[3] / "eye" / "local" / "log4j2.yaml"

SESSION_MS = 3_000
"""Time a node may be silent before others lead its partitions; Kafka's own default is 9 s."""


class Node(Process):
    """One node of a cluster: broker, and voter of the controllers' quorum. Can be killed and started again."""

    def __init__(self, directory: Path, properties: Mapping[str, str]) -> None:
        super().__init__("Kafka", directory, signal.SIGTERM)
        self._properties = dict(properties)

    def format(self, cluster_id: str, scram: Mapping[str, str]) -> None:
        """Lay down its log directory, with the passwords of SASL users. Raises StartError."""
        self._prepare()
        users = [f"SCRAM-SHA-512=[name={name},password={password}]" for name, password in scram.items()]
        options = [word for user in users for word in ("--add-scram", user)]
        storage = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "--config", self._write()]
        self._run([*self._java(), *storage, *options])

    def start(self) -> None:
        """Launch it, without waiting."""
        self._prepare()
        self._launch([*self._java(), "kafka.Kafka", self._write()])

    def wait_ready(self) -> None:
        """Wait until it serves clients. Raises StartError."""
        start = "Kafka Server started"
        self._wait_ready(lambda: start in self.log.read_text(errors="replace"), 120)

    def _java(self) -> list[str]:
        return [find_java().path, *_JVM, f"-Dlog4j2.configurationFile={_LOG4J}", "-cp", kafka_classpath()]

    def _write(self) -> str:
        lines = "".join(f"{key}={value}\n" for key, value in self._properties.items())
        (self.data_dir / "server.properties").write_text(lines)
        return "server.properties"


@contextmanager
def cluster(
    directory: Path, size: int, extra: Mapping[str, str] | None = None, scram: Mapping[str, str] | None = None
) -> Iterator[tuple[str, Sequence[Node]]]:
    """Run a cluster of `size` nodes with as many replicas of everything; lends its bootstrap servers and nodes.

    `extra` has server properties that go before ours; `{port}` in them is the node's own port.
    """
    ports = [(free_port(), free_port()) for _ in range(size)]
    voters = ",".join(f"{number}@127.0.0.1:{controller}" for number, (_, controller) in enumerate(ports, 1))
    nodes = []
    for number, (port, controller) in enumerate(ports, 1):
        ours = broker_settings("127.0.0.1", port, controller) | _several(size)
        ours |= {"node.id": str(number), "controller.quorum.voters": voters, "log.dirs": "log"}
        theirs = {name: value.replace("{port}", str(port)) for name, value in (extra or {}).items()}
        theirs = {name: value.replace("{controller}", str(controller)) for name, value in theirs.items()}
        nodes.append(Node(directory / f"kafka-{number}", ours | theirs))
    cluster_id = secrets.token_urlsafe(16)
    try:
        for node in nodes:
            node.format(cluster_id, scram or {})
        for node in nodes:
            node.start()
        for node in nodes:
            node.wait_ready()
        yield ",".join(f"127.0.0.1:{port}" for port, _ in ports), nodes
    finally:
        for node in nodes:
            node.kill()


def _several(size: int) -> dict[str, str]:
    replicas, in_sync = str(size), str(max(size - 1, 1))
    return {
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "broker.session.timeout.ms": str(SESSION_MS),
        "broker.heartbeat.interval.ms": "500",
    }
