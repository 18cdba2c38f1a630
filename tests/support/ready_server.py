"""A server that answers /readyz as a gateway in a given state would."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def readiness(
    *,
    keys: str = "",
    records: int = 0,
    oldest_seconds: float = 0.0,
    kafka: str = "ok",
    keys_used: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the answer of a gateway to GET /readyz."""
    spool = {"records": records, "bytes": 100 * records, "oldest_seconds": oldest_seconds}
    answer = {"status": "ready", "reasons": [], "checks": {"kafka": kafka}, "spool": spool, "keys_version": keys}
    return answer | {"keys_used": dict(keys_used or {})}


@contextmanager
def serve_readiness(answers: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Serve these answers one after the other, then the last again; gives the server's address."""
    left = list(answers)

    class Ready(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, format: str, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Ready) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
