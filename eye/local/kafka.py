"""Apache Kafka on this machine: one broker that is its own controller, in a local Java runtime."""

from __future__ import annotations

import secrets
import shutil
import signal
import socket
import struct
from collections.abc import Mapping
from pathlib import Path

from eye.local.classpath import cache_directory, digest, kafka_classpath
from eye.local.notes import remembered, remembered_port
from eye.local.process import Process
from eye.local.tools import find_java

# Measured: C1 alone starts a tenth sooner than C1 and C2, takes records as fast (130,000 to 160,000/s of
# 400 bytes), and spends a third less CPU on them; Serial is level with G1 and takes the least memory.
# No performance data: a killed JVM would leave its file in /tmp.
_JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-XX:+ExitOnOutOfMemoryError")
_LOGGING = f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.yaml')}"

# Both relative to the data directory, so that no character of its path needs escaping.
_PROPERTIES = "server.properties"
_LOG_DIR = "log"


class LocalKafka(Process):
    """A Kafka node that keeps its topics in `data_dir`.

    `port` is taken when it is free; without it, or when it is not, the port of the last start, else any.
    A restart on the same data finds all that was written, however the last run ended. `extra` has server
    properties that go before ours.
    """

    def __init__(
        self, data_dir: Path, port: int | None = None, heap: str = "512m", extra: Mapping[str, str] | None = None
    ) -> None:
        super().__init__("Kafka", data_dir, signal.SIGTERM)
        self._wanted_port = port
        self._port: int | None = None
        self._heap = heap
        self._classes = self.data_dir / "classes.jsa"
        self._archive = self._classes
        self._extra = dict(extra or {})

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect; known from the first `start` on, and changed by a restart only if the port is taken."""
        if self._port is None:
            raise RuntimeError("Kafka has not been started.")
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start the broker, and return when it answers clients. Does nothing when it runs.

        Raises MissingTool without Java (or, the first time, Maven), and StartError with the end of the log.
        """
        if self.running:
            return
        java, classpath = find_java(), kafka_classpath()
        archive = cache_directory() / f"kafka-{digest(java.version + classpath)}.jsa"
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._port = port = remembered_port(self.data_dir / "port", self._wanted_port)
        self._write_properties(port)
        jvm = [java.path, *_JVM, _LOGGING, "-cp", classpath]
        if archive.exists():
            jvm.insert(1, f"-XX:SharedArchiveFile={archive}")
        self._format(jvm)
        if not archive.exists():
            jvm.insert(1, f"-XX:ArchiveClassesAtExit={self._classes}")
            self._archive = archive
        self._launch([*jvm, f"-Xmx{self._heap}", "kafka.Kafka", _PROPERTIES])
        self._wait_ready(lambda: answers(port), 60)

    def stop(self, deadline: float = 30) -> None:
        """End the broker in good order; kill it when it has not ended after `deadline` seconds.

        The first stop on a machine takes some seconds longer: the JVM writes down the classes it has
        loaded, which halves the time of every later start.
        """
        super().stop(deadline)
        if self._exited_in_order and self._classes.exists():
            shutil.move(self._classes, self._archive)

    def _write_properties(self, port: int) -> None:
        controller_port = remembered_port(self.data_dir / "controller-port", None, other_than=port)
        settings = broker_settings("127.0.0.1", port, controller_port) | {"log.dirs": _LOG_DIR} | self._extra
        lines = (f"{key}={value}\n" for key, value in settings.items())
        (self.data_dir / _PROPERTIES).write_text("".join(lines))

    def _format(self, jvm: list[str]) -> None:
        if (self.data_dir / _LOG_DIR / "meta.properties").exists():
            return
        cluster_id = remembered(self.data_dir / "cluster-id", lambda: secrets.token_urlsafe(16))
        # one word: an id may begin with a dash
        self._run([*jvm, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "--config", _PROPERTIES])


def broker_settings(listen_on: str, port: int, controller_port: int) -> dict[str, str]:
    """Return the properties of a node that is alone: broker and controller, one replica of everything.

    Clients reach it at 127.0.0.1, whatever address it listens on.
    """
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{listen_on}:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": "0",
        "offsets.topic.num.partitions": "8",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "8",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        # After a kill the controller takes the broker back only when its old session has run out: 9 s by default.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        # 128 MB of the heap by default
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
    }


def answers(port: int) -> bool:
    """Ask the broker which requests it knows: whether it answers, and without an error."""
    # size; ApiVersions, version 0, number 1, no client id
    request = struct.pack(">ihhih", 10, 18, 0, 1, -1)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(request)
            answer = connection.recv(10, socket.MSG_WAITALL)
    except OSError:
        return False
    # size, number, error code
    return len(answer) == 10 and struct.unpack(">iih", answer)[1:] == (1, 0)
