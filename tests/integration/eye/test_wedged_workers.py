"""A worker that says it is ready and does not move: `eye doctor` names it."""

from __future__ import annotations

import time
from pathlib import Path

from aiohttp.test_utils import TestServer
from faust.types import TP
from prometheus_client import CollectorRegistry

from eye.operations.doctor.processes import check_processes
from schemas.settings import Settings
from stream.runner.partitions import PartitionStatus
from stream.runner.status import STALLED_SECONDS, status_page

WEDGED = TP("events.raw", 3)


async def test_a_worker_that_is_wedged_is_a_finding_by_name(tmp_path: Path) -> None:
    status = {WEDGED: PartitionStatus(position=5, moved_at=time.monotonic() - STALLED_SECONDS - 1)}
    page = status_page(CollectorRegistry(), lambda: status, lambda tp, position: 7, lambda: False)
    async with TestServer(page) as server:
        url = f"http://127.0.0.1:{server.port}"
        [finding] = await check_processes(Settings(data_dir=tmp_path, stream_port=server.port))

    assert (finding.what, finding.ok) == (f"stream {url}", False)
    assert "events.raw:3" in finding.seen
    assert "stalled" in finding.seen
    assert "is to be restarted" in finding.mend
