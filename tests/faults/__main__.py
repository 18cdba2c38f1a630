"""The command: every drill, one line each; the exit code says whether all that is promised was kept.

python -m tests.faults                      every drill, in full: about half an hour
python -m tests.faults --quick              every drill, short
python -m tests.faults --drill gateway-killed --seed 7 --repeat 5
python -m tests.faults --drill all-sinks-killed --break positions    a build with a fault in it has to fail
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

from eye.local.errors import StartError
from tests.faults.drills import DRILLS
from tests.faults.harness import broken
from tests.faults.harness.field import Ground
from tests.faults.harness.proof import Proof
from tests.faults.harness.run import run_drill

COLUMNS = (
    "drill",
    "seed",
    "sent",
    "acknowledged",
    "validated",
    "rejected",
    "stored",
    "lost",
    "doubled",
    "out of order",
)
_WIDTHS = (20, 10, *(max(len(name), 7) for name in COLUMNS[2:]))


def main() -> int:
    """Run what was asked for; returns 0 when all was kept, 1 otherwise."""
    asked = _arguments()
    if asked.list:
        for drill in DRILLS.values():
            print(f"{drill.name:20}  {drill.what}")
        print("\nFaults to build in with --break:")
        for name, fault in broken.FAULTS.items():
            print(f"{name:20}  {(fault.build_in.__doc__ or '').strip()} Found by {fault.drill}.")
        return 0
    directory = Path(tempfile.mkdtemp(prefix="eye-drills-"))
    first = asked.seed if asked.seed is not None else random.SystemRandom().randrange(10**6)
    kept = True
    _print_row(COLUMNS)
    with Ground(directory) as ground:
        for name in asked.drill or ([broken.FAULTS[asked.broken].drill] if asked.broken else DRILLS):
            if hindrance := DRILLS[name].hindrance:
                print(f"{name:20}  left out: {hindrance}")
                continue
            for seed in range(first, first + asked.repeat):
                try:
                    proof = run_drill(DRILLS[name], ground, seed, quick=asked.quick, broken=asked.broken)
                except (StartError, AssertionError, TimeoutError) as error:
                    print(f"{name:20}  {seed:>10}  could not be run to its end: {type(error).__name__}: {error}")
                    kept = False
                    continue
                _print(name, seed, proof)
                kept = kept and proof.holds
    if kept:
        shutil.rmtree(directory)
    else:
        print(f"Logs and data are in {directory}.")
    return 0 if kept else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.faults", description="Break things, and count what came of it.")
    parser.add_argument("--drill", action="append", choices=list(DRILLS), help="this drill only; can be given again")
    parser.add_argument("--seed", type=int, help="of the random moments; a drawn one is printed")
    parser.add_argument(
        "--repeat", type=int, default=1, help="how often each drill is run, each time with another seed"
    )
    parser.add_argument("--quick", action="store_true", help="fewer faults and shorter outages")
    parser.add_argument("--list", action="store_true", help="say what the drills are")
    parser.add_argument(
        "--break", dest="broken", choices=list(broken.FAULTS), help="build a fault in, and see a drill fail"
    )
    return parser.parse_args()


def _print(name: str, seed: int, proof: Proof) -> None:
    counts = (proof.sent, proof.acknowledged, proof.validated, proof.rejected, proof.stored)
    _print_row((name, seed, *counts, proof.lost, proof.doubled, proof.out_of_order))
    for sentence in proof.wrong:
        print(f"    {sentence}")
    sys.stdout.flush()


def _print_row(values: tuple[object, ...]) -> None:
    cells = [
        f"{value:<{width}}" if at == 0 else f"{value:>{width}}"
        for at, (value, width) in enumerate(zip(values, _WIDTHS, strict=True))
    ]
    print("  ".join(cells), flush=True)


if __name__ == "__main__":
    sys.exit(main())
