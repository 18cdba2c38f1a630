"""Locust, headless, against the stack that runs here or any other: `python -m tests.load --help`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from eye.local.registry import read_stack
from schemas.settings import Settings

LOCUSTFILE = Path(__file__).with_name("locustfile.py")


def main() -> int:
    """Run the load and print locust's table; exits 1 when a request failed."""
    parser = argparse.ArgumentParser(description="Load a running stack with applications and readers.")
    parser.add_argument("--users", type=int, default=150)
    parser.add_argument("--spawn-rate", type=float, default=50, help="users that begin in a second")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--url", default=os.environ.get("EYE_URL"), help="of the gateway; default: of `eye up` here")
    given = parser.parse_args()
    stack = read_stack(Settings().data_dir)
    url, key = given.url or (stack and stack.url), os.environ.get("EYE_KEY") or (stack and stack.key)
    if not url or not key:
        print("No stack runs here. Start one with `make up`, or name another with --url and EYE_KEY.", file=sys.stderr)
        return 1
    command = locust(url, users=given.users, spawn_rate=given.spawn_rate, seconds=given.seconds)
    command += ["--only-summary", "--exit-code-on-error", "1"]
    return subprocess.run(command, env=os.environ | {"EYE_KEY": key}, check=False).returncode


def locust(url: str, *, users: int, spawn_rate: float, seconds: int) -> list[str]:
    """Return the command that loads a gateway without a page of its own; `EYE_KEY` is to be in its environment."""
    return [
        sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), "--headless", "--host", url,
        "--users", str(users), "--spawn-rate", str(spawn_rate), "--run-time", f"{seconds}s",
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
