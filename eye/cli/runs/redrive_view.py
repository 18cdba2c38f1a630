"""Terminal output of a redrive's dry run: counts, and per outcome one event before and after as a difference."""

from __future__ import annotations

from eye.cli.terminal import out, print_found
from eye.redrive.describe import describe
from eye.runs.targets import CheckResult

_STYLES = {"+": "green", "-": "red", "@": "dim"}


def print_redrive_check(found: CheckResult) -> None:
    """Print what a redrive would change: the counts, then a sample of each outcome with its difference or reasons."""
    print_found(None, [[kind, f"{count:,}"] for kind, count in sorted(found.kinds.items())], ["", "events"], False)
    for sample in found.sample:
        out.print()
        for line in describe(sample):
            out.print(line, style=_STYLES.get(line[:1], ""), markup=False, highlight=False)
