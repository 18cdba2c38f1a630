"""Visit places, all or those named: `python -m tests.places [NAME ...]`. Exits 1 when one is not as promised."""

from __future__ import annotations

import os
import sys
import time

from tests.places.place import verify, visit
from tests.places.places import PLACES


def main(names: list[str]) -> int:
    """Visit each place, print a line for each, and return the exit code."""
    if os.getuid() != 0:
        print("make places needs root: it makes users and mounts.")
        return 2
    if unknown := set(names) - {place.name for place in PLACES}:
        print(f"no such place: {', '.join(sorted(unknown))}; there are {', '.join(place.name for place in PLACES)}")
        return 2
    failed = 0
    for place in PLACES:
        if names and place.name not in names:
            continue
        if why := place.missing():
            print(f"{place.name:<26} not visited: {why}", flush=True)
            continue
        started = time.monotonic()
        outcome = visit(place)
        wrong = verify(place, outcome)
        print(f"{place.name:<26} {'; '.join(wrong) or 'as promised'} ({time.monotonic() - started:.0f} s)", flush=True)
        if wrong:
            failed += 1
            print(outcome.output[-3000:], flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
