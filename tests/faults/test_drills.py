"""The drills, in short: nothing is lost, nothing doubled, no order broken."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.drills import DRILLS
from tests.faults.harness.broken import FAULTS
from tests.faults.harness.field import Ground
from tests.faults.harness.run import run_drill

SEED = 7
SHORT = (
    "gateway-killed", "workers-killed", "all-sinks-killed", "kafka-killed", "postgres-killed", "gateway-removed",
    "limits-lowered", "network-random",
)  # fmt: skip

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Lend a Kafka and a Postgres that the drills here may break."""
    with Ground(tmp_path_factory.mktemp("drills")) as ground:
        yield ground


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", SHORT)
def test_nothing_is_lost_or_doubled_or_out_of_order(ground: Ground, name: str) -> None:
    proof = run_drill(DRILLS[name], ground, SEED, quick=True)

    assert proof.wrong == []
    assert (proof.lost, proof.doubled, proof.out_of_order) == (0, 0, 0)
    assert proof.acknowledged > proof.rejected > 0


@pytest.mark.timeout(900)
def test_a_build_with_a_fault_in_it_is_found_out(ground: Ground) -> None:
    proof = run_drill(DRILLS[FAULTS["duplicates"].drill], ground, SEED, quick=True, broken="duplicates")

    assert proof.doubled > 0
    assert not proof.holds
