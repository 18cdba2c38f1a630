"""Run the shop against the stack that runs here, else against one of its own: `make example`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import webbrowser
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

from werkzeug.serving import make_server

from examples.shop.app import create_app
from eye.cli.errors import EXPECTED_ERRORS
from eye.cli.terminal import find_local_stack, read_settings, stack_hint
from eye.local.registry import StackInfo, find_stacks, read_stack
from eye.local.remembered_settings import free_port
from eye.local.stack import Stack
from eye.local.up import no_proxy_option
from eye.operations.gateways import gateway_urls, wait_for_keys
from eye.operations.keys import add_origins, kept_key, keys_version
from eye_client import Eye, Result, Status
from schemas.settings import Settings

PORT = 8000
APPLICATION = "shop"


def main() -> None:
    """Run until Ctrl-C or SIGTERM."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    settings = Settings()
    with ExitStack() as ending:
        stack = find_local_stack(settings)
        if stack is None:
            if len(find_stacks(settings.data_dir if "data_dir" in settings.model_fields_set else None)) > 1:
                sys.exit(stack_hint())
            print("No stack runs here: one is started, and stopped at the end.", flush=True)
            started = ending.enter_context(Stack(settings, lambda sentence: print(sentence, flush=True)))
            stack = read_stack(started.settings.data_dir)
            assert stack is not None
        run(stack)


def run(stack: StackInfo) -> None:
    """Serve the shop, and say where to look."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    settings = read_settings()
    keys, data_dir = settings.applications_file, settings.data_dir
    [eye_url, *_] = gateway_urls(settings) or [stack.url]
    port = free_port(PORT)
    origins = [f"http://127.0.0.1:{port}", f"http://localhost:{port}"]
    # as `eye keys add shop --public --origin ...` and `eye keys add shop`, kept for the next time
    public_key = kept_key(data_dir / "shop-public.key", keys, APPLICATION, ["write"], public=True, origins=origins)
    backend_key = kept_key(data_dir / "shop-backend.key", keys, APPLICATION, ["write"])
    add_origins(keys, APPLICATION, origins)
    asyncio.run(wait_for_keys(settings, keys_version(keys)))

    eye_command = Path(sys.executable).with_name("eye")

    def curl(path: str) -> str:
        return f"curl -s {no_proxy_option()}'{eye_url}{path}' -H 'Authorization: Bearer {stack.key}'"

    def tell(result: Result) -> None:
        if result.event is None or result.status is not Status.OK:
            print(f"An order's event: {result.status.value} {result.errors}", flush=True)
            return
        session = curl(f"/sessions/{quote(result.event['session_id'], safe='')}/events")
        print(
            f"\nAn order. The way of its event:\n  {eye_command} trace {result.event_id}\n"
            f"Its session, from the first page on:\n  {session}",
            flush=True,
        )

    with Eye(eye_url, backend_key, disk=data_dir / "shop-queue", on_result=tell) as eye:
        server = make_server("127.0.0.1", port, create_app(eye, eye_url, public_key), threaded=True)
        print(
            f"\nThe shop: {origins[0]}\n\nBuy something there, then look:\n"
            f"  {curl('/sessions?limit=5')}\n  {curl('/events?limit=20')}\n"
            f"  {eye_command} ledger\n  {eye_url}/docs shows every call\n\nCtrl-C stops the shop.",
            flush=True,
        )
        if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or sys.platform == "darwin":
            webbrowser.open(origins[0])
        server.serve_forever()  # ends by KeyboardInterrupt
        print("\nStopping.", flush=True)


def stop(*_: object) -> NoReturn:
    """End as Ctrl-C does."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        main()
    except EXPECTED_ERRORS as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
