"""Drill in which a gateway goes for good, and its spool is sent by command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from eye.local.process import wait_until
from eye.local.stack import environment
from tests.faults.drills.registry import drill
from tests.faults.harness.field import Field, start

_ENDS_SECONDS = 120


@drill("gateway-removed")
def gateway_removed(field: Field) -> None:
    """Three gateways with spools of their own under a stopped Kafka; one goes for good, a command sends its spool."""
    pipeline, traffic = field.pipeline, field.traffic
    spools = [pipeline.settings.data_dir / f"spool-{number}" for number in (2, 3)]
    pipeline.more_gateways += [pipeline.make("gateway", spool_dir=spool) for spool in spools]
    for gateway in pipeline.more_gateways:
        gateway.start()
    ready = wait_until(lambda: all(gateway.is_ready() for gateway in pipeline.more_gateways), 60)
    field.demand(ready, "the other gateways were never ready")
    gone, spool = pipeline.more_gateways[1], spools[1]
    staying = [pipeline.gateway.url, pipeline.more_gateways[0].url]
    traffic.spread([*staying, gone.url])
    field.moment(1, 2)
    field.kafka.stop()
    field.stay(60, 4)
    field.demand(wait_until(lambda: any(spool.glob("*.spool")), 30), "the gateway spooled nothing")
    code, _, said = finish(drain(field, spool))
    field.demand(code == 1 and "lives" in said, f"draining beside a living gateway ended with {code}: {said}")
    traffic.spread(staying)
    field.demand(
        wait_until(lambda: not traffic.lanes_at(gone.url), 30), "somebody still sends to the gateway that goes"
    )
    gone.kill()
    pipeline.more_gateways.remove(gone)
    field.demand(any(spool.glob("*.spool")), "the gateway that went has left nothing")
    start(field.kafka)
    for _ in field.times(5, 1):
        killed = drain(field, spool)
        time.sleep(field.chance.uniform(0.5, 3))
        killed.kill()
        killed.communicate()
    code, drained, said = finish(drain(field, spool))
    field.demand(code == 0, f"draining ended with {code}: {said}")
    code, drained, _ = finish(drain(field, spool))
    field.demand((code, drained.get("records")) == (0, 0), f"drained again, it still found {drained}")


def drain(field: Field, directory: Path) -> subprocess.Popen[str]:
    """Begin to drain a spool directory, as an operator does."""
    command = [sys.executable, "-m", "eye", "spool", "drain", str(directory), "--yes", "--json"]
    variables = os.environ | environment(field.pipeline.settings)
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(draining: subprocess.Popen[str]) -> tuple[int, dict[str, Any], str]:
    """Wait for the command; returns its exit code, what it found, and what it said."""
    out, err = draining.communicate(timeout=_ENDS_SECONDS)
    return draining.returncode, json.loads(out) if out.strip() else {}, err
