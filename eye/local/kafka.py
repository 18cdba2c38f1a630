"""Apache Kafka on this machine: one broker that is its own controller, in a local Java runtime."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import struct
from collections.abc import Mapping
from pathlib import Path

from eye.local.addresses import BrokerAddress
from eye.local.classpath import cache_directory, digest, kafka_classpath
from eye.local.environment import server_environment
from eye.local.process import Process, wait_until
from eye.local.remembered_settings import remembered, remembered_port
from eye.local.tools import find_java

_LOG_SETTINGS = Path(__file__).with_name("log4j2.yaml")

# Measured: C1 alone starts a tenth sooner than C1 and C2, takes records as fast (130,000 to 160,000/s of
# 400 bytes), and spends a third less CPU on them; Serial is level with G1 and takes the least memory.
# No performance data: a killed JVM would leave its file in /tmp.
_JVM = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    # both in the data directory, which the JVM runs in: no character of its path needs escaping, and native
    # libraries that are unpacked there can be loaded where /tmp allows no programs
    f"-Dlog4j2.configurationFile={_LOG_SETTINGS.name}",
    "-Djava.io.tmpdir=tmp",
)

_STARTED = "Kafka Server started"
"""The words in the log of a broker that listens."""

_LOCAL = {
    # relative to the data directory, which the JVM runs in: no character of its path needs escaping
    "log.dirs": "log",
    # as long as the broker lives, paused or stopping, it leads every partition: see `_fence`
    "broker.session.timeout.ms": "86400000",
    "controlled.shutdown.enable": "false",
}


class LocalKafka(BrokerAddress, Process):
    """A Kafka node that keeps its topics in `data_dir`.

    `port` is taken when it is free; without it, or when it is not, the port of the last start, else any.
    A restart on the same data finds all that was written, however the last run ended. `extra` has server
    properties that go before ours.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int | None = None,
        heap: str = "512m",
        extra: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__("Kafka", data_dir, signal.SIGTERM)
        self._wanted_port = port
        self._heap = heap
        self._extra = dict(extra or {})
        self._classes = self.data_dir / "classes.jsa"
        self._archive: Path | None = None

    def start(self) -> None:
        """Start the broker, and return when it answers clients. Does nothing when it runs.

        Raises MissingTool without Java (or, the first time, Maven), and StartError with the end of the log.
        """
        if self.running:
            return
        java, classpath = find_java(), kafka_classpath()
        self._prepare()
        (self.data_dir / "tmp").mkdir(exist_ok=True)
        shutil.copy(_LOG_SETTINGS, self.data_dir)
        self._port = self._wanted_port = port = remembered_port(self.data_dir / "port", self._wanted_port)
        controller_port = remembered_port(self.data_dir / "controller-port", None, other_than=port)
        settings = broker_settings("127.0.0.1", port, controller_port) | _LOCAL
        self._archive = cache_directory() / f"kafka-{digest(java.version + classpath)}.jsa"
        read_classes = [f"-XX:SharedArchiveFile={self._archive}"] if self._archive.exists() else []
        write_classes = [] if read_classes else [f"-XX:ArchiveClassesAtExit={self._classes}"]
        jvm = [java.path, *_JVM, *read_classes, "-cp", classpath]
        if (self.data_dir / "log" / "meta.properties").exists():
            self._fence(jvm, settings)
        else:
            self._format(jvm, settings)
        properties = self._write("broker.properties", settings | self._extra)
        start = self._log_size()
        self._launch([*jvm, *write_classes, f"-Xmx{self._heap}", "kafka.Kafka", properties])
        # another broker may answer there, while ours is about to find the port taken
        self._wait_ready(lambda: _STARTED in self._log_since(start) and answers(port), 60)

    def stop(self, deadline: float = 30) -> None:
        """End the broker in good order; kill it when it has not ended after `deadline` seconds.

        The first stop on a machine takes some seconds longer: the JVM writes down the classes it has
        loaded, which halves the time of every later start.
        """
        super().stop(deadline)
        if self._archive and self._exited_in_order and self._classes.exists():
            scratch = self._archive.with_suffix(f".{os.getpid()}")
            shutil.move(self._classes, scratch)
            scratch.replace(self._archive)

    def _environment(self) -> dict[str, str]:
        return server_environment()

    def _format(self, jvm: list[str], settings: dict[str, str]) -> None:
        cluster_id = remembered(self.data_dir / "cluster-id", lambda: secrets.token_urlsafe(16))
        # one word: an id may begin with a dash
        options = [f"--cluster-id={cluster_id}", "--config", self._write("format.properties", settings)]
        self._run([*jvm, "kafka.tools.StorageTool", "format", *options])

    def _fence(self, jvm: list[str], settings: dict[str, str]) -> None:
        """Let the controller note that the broker was away, before there is a broker.

        A broker that comes back while its old registration holds is refused until that has run out, and
        acts as the leader of everything until it is fenced. A transaction that it was about to complete
        is then noted as complete without its markers (KAFKA-20734, not mended in 4.4), and readers of
        committed records stand still before it for ever.
        """
        shared = ("node.id", "controller.quorum.voters", "controller.listener.names", "log.dirs")
        alone = {key: settings[key] for key in shared} | {
            "process.roles": "controller",
            "listeners": settings["listeners"].split(",")[1],
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT",
            "broker.session.timeout.ms": "100",
            "broker.heartbeat.interval.ms": "50",
            # a record that says nothing, when there is none to write for so long
            "metadata.max.idle.interval.ms": "50",
        }
        start = self._log_size()
        self._launch([*jvm, "-Xmx128m", "kafka.Kafka", self._write("fence.properties", alone)])
        self._wait_ready(lambda: "Performing controller activation" in self._log_since(start), 60)
        # which it does not when the broker was killed while it started
        wait_until(lambda: "fenced=1" in self._log_since(start).partition("Fencing broker")[2], 5)
        self._wait_written()
        super().stop()

    def _wait_written(self) -> None:
        """Wait until what the controller has noted is in its log: a controller that stops drops the rest."""
        segments = self.data_dir / "log" / "__cluster_metadata-0"

        def size() -> int:
            return sum(segment.stat().st_size for segment in segments.glob("*.log"))

        def grow() -> None:
            before = size()
            wait_until(lambda: size() > before, 5)

        grow()  # which may be of records before it
        grow()

    def _write(self, name: str, settings: Mapping[str, str]) -> str:
        (self.data_dir / name).write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        return name

    def _log_size(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0  # a long one was put aside

    def _log_since(self, position: int) -> str:
        with self.log.open("rb") as log:
            log.seek(position)
            return log.read().decode(errors="replace")


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
        # 128 MB of the heap by default
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
    }


def answers(port: int) -> bool:
    """Tell whether the broker answers a request for its API versions without an error."""
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
