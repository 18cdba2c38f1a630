"""A stack that `make run` keeps up: a proxy that nobody comes to, and a second checkout beside it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from eye.local.process import wait_until
from tests.places.place import Place, laid_out, typed, verify, visit

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(600),
    pytest.mark.skipif(os.getuid() != 0, reason="needs root: it makes users and mounts"),
]


class CountingProxy(threading.Thread):
    """A proxy on a free port that counts who comes, and closes."""

    def __init__(self) -> None:
        super().__init__(name="proxy", daemon=True)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self.connections = 0

    def run(self) -> None:
        """Count until closed."""
        with suppress(OSError):
            while True:
                self._server.accept()[0].close()
                self.connections += 1

    def close(self) -> None:
        """Stop counting."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.join()


class Stack:
    """A stack that runs behind a proxy, and all that it has said."""

    def __init__(self, process: subprocess.Popen[bytes], proxy: CountingProxy) -> None:
        self.process = process
        self.proxy = proxy
        self.said = ""
        threading.Thread(target=self._read, daemon=True).start()

    def says(self, text: str, deadline: float) -> bool:
        """Return whether it has said something when it has, or has ended, or the time is up."""
        wait_until(lambda: text in self.said or self.process.poll() is not None, deadline)
        return text in self.said

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.said += line.decode(errors="replace")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    proxy = CountingProxy()
    proxy.start()
    names = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    variables: dict[str, str | None] = {**dict.fromkeys(names, proxy.url), "NO_PROXY": None, "no_proxy": None}
    with laid_out(Place("running", page="README.md", variables=variables)) as command, typed(command) as process:
        made = Stack(process, proxy)
        assert made.says("Ctrl-C stops all of it.", 300), made.said
        yield made
        os.killpg(process.pid, signal.SIGINT)
        assert made.says("Stopped.", 60), made.said
    proxy.close()


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_the_printed_curl_and_all_else_avoid_a_proxy(stack: Stack, tmp_path: Path) -> None:
    line = re.search(r"^curl .*?}}'$", stack.said, re.DOTALL | re.MULTILINE)
    assert line
    environment = os.environ | {"http_proxy": stack.proxy.url, "all_proxy": stack.proxy.url}

    done = subprocess.run(["sh", "-c", line[0]], env=environment, capture_output=True, text=True, check=False)

    assert "202 Accepted" in done.stdout, done.stderr
    assert stack.says("received 66", 60), stack.said
    assert stack.proxy.connections == 0


def test_a_second_checkout_runs_beside_the_first(stack: Stack) -> None:
    second = Place("second")

    outcome = visit(second)

    assert verify(second, outcome) == [], outcome.output[-3000:]
    assert stack.process.poll() is None
    assert "ended by itself" not in stack.said
