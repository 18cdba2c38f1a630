"""A worker's number on its host: the lowest that no living worker has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from stream.runner.instance import claim_instance

CLAIM = "import sys; from stream.runner.instance import *; print(claim_instance(Path(sys.argv[1]), 'eye-stream'))"


def claimed_and_died(data_dir: Path) -> str:
    """Return what a worker was called that has ended since."""
    ran = subprocess.run([sys.executable, "-c", CLAIM, data_dir], capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def test_living_workers_have_names_of_their_own(tmp_path: Path) -> None:
    names = [claim_instance(tmp_path, "eye-stream") for _ in range(3)]

    assert [name.rpartition("-")[2] for name in names] == ["0", "1", "2"]
    assert len({name.rpartition("-")[0] for name in names}) == 1


def test_each_stage_counts_for_itself(tmp_path: Path) -> None:
    names = {claim_instance(tmp_path, stage) for stage in ("eye-stream", "eye-sinks", "blue-eye-stream")}

    assert len(names) == 3
    assert all(name.endswith("-0") for name in names)


def test_two_deployments_on_one_host_do_not_share_names(tmp_path: Path) -> None:
    assert claim_instance(tmp_path / "a", "eye-stream") != claim_instance(tmp_path / "b", "eye-stream")


def test_the_name_of_a_worker_that_died_is_taken_up_again(tmp_path: Path) -> None:
    former = claimed_and_died(tmp_path)

    assert claim_instance(tmp_path, "eye-stream") == former
    assert claimed_and_died(tmp_path) != former
