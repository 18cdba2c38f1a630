"""The books of a drill: the ledger as one of its judges."""

from __future__ import annotations

import asyncio

from eye.operations.books.ledger import compute_ledger
from eye.operations.books.lines import Ledger, LedgerLine
from schemas.settings import Settings

_NAMED = 3


def check_books(settings: Settings, rows: int) -> list[str]:
    """Return in sentences what is wrong with the ledger; everything has to have settled, into so many `rows`."""
    return faults_of(asyncio.run(compute_ledger(settings)), rows)


def faults_of(ledger: Ledger, rows: int) -> list[str]:
    """Return where a ledger does not balance, what it misses, doubles or has in flight, and rows it miscounts."""
    total = ledger.total
    wrong = [f"the books do not balance: {_entry(line)}" for line in ledger.lines if line.difference]
    if ledger.missing:
        places = ", ".join(f"{one.event_id} ({one.partition}:{one.offset})" for one in ledger.missing[:_NAMED])
        wrong.append(f"the ledger misses {places}{', and more' if len(ledger.missing) > _NAMED else ''}")
    if ledger.doubled:
        wrong.append(f"the ledger finds {ledger.doubled} rows of events that have one already")
    if total.in_flight:
        wrong.append(f"the ledger has {total.in_flight} events in flight, though all has settled")
    if total.stored + total.rejected != rows:
        wrong.append(f"the ledger counts {total.stored + total.rejected} rows, and there are {rows}")
    return wrong


def _entry(line: LedgerLine) -> str:
    counts = f"received {line.received}, stored {line.stored}, rejected {line.rejected}, duplicate {line.duplicate}"
    return f"{line.application}, {line.hour:%Y-%m-%d %H:%M}: {counts}, difference {line.difference}"
