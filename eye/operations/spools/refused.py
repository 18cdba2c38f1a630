"""Records that Kafka refused: shown, and sent again once the topic takes them."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from eye.operations.rights import explain
from eye.operations.spools.errors import SpoolError
from eye.operations.spools.lock import sending_alone
from eye.operations.spools.sending import Link, find_copies, identity_of, linked
from gateway.outgoing import OutgoingRecord
from gateway.publish.partition_queues import hash_of_key
from gateway.publish.sender import Sender, Undelivered, send_all
from gateway.spool.refused import RefusedRecord, RefusedRecords
from schemas.record import APPLICATION, EVENT_ID
from schemas.settings import Settings
from schemas.topics import topic_names

SHOWN = 100
"""Most records that are shown."""

_BATCH = 500

Progress = Callable[[int], None]
"""Called with the number of records that have been dealt with."""


@dataclass(slots=True)
class Resent:
    """Records that were set aside: sent now, in Kafka already from an earlier attempt, and refused once more."""

    sent: int = 0
    copies: int = 0
    refused: int = 0


def list_refused(settings: Settings, most: int = SHOWN) -> list[RefusedRecord]:
    """Return the oldest records that are set aside in the settings' spool directory. Raises SpoolError."""
    try:
        return _store(settings).read(0, most)
    except (sqlite3.Error, OSError) as error:
        raise SpoolError(f"the records set aside can't be read: {error}") from error


def describe_refused(record: RefusedRecord) -> dict[str, Any]:
    """Return what people and programs are shown of a record; nothing of its payload."""
    headers = dict(record.record.headers)
    return {
        "refused_at": record.refused_at,
        "application": headers.get(APPLICATION, b"").decode(errors="replace"),
        "event_id": headers.get(EVENT_ID, b"").decode(errors="replace"),
        "session_id": record.record.key.decode(errors="replace"),
        "bytes": len(record.record.value),
        "reason": record.reason,
    }


async def send_refused(settings: Settings, progress: Progress = lambda done: None) -> Resent:
    """Send all that is set aside again, oldest first; safe to repeat, and to end at any moment.

    A record leaves the file after Kafka's acknowledgement. One that was sent before without a known answer is looked
    for in the raw topic first. Raises SpoolError when Kafka can't be reached or goes away, or another process sends.
    """
    store, resent = _store(settings), Resent()
    try:
        with sending_alone(settings.spool_directory):
            async with linked(settings) as link:
                after = 0
                while records := store.read(after, _BATCH):
                    after = records[-1].id
                    rest = await _without_copies(settings, store, records, link.partitions, resent)
                    await _send(store, link, rest, resent)
                    progress(resent.sent + resent.copies + resent.refused)
    except Undelivered as error:
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
        raise SpoolError(f"{resent.sent} were sent, then Kafka took no more; run it again: {explain(cause)}") from error
    except sqlite3.Error as error:
        raise SpoolError(f"{resent.sent} were sent; the file of those set aside can't be used: {error}") from error
    return resent


def _store(settings: Settings) -> RefusedRecords:
    return RefusedRecords(settings.spool_directory, topic_names(settings).raw)


async def _without_copies(
    settings: Settings, store: RefusedRecords, records: Sequence[RefusedRecord], partitions: int, resent: Resent
) -> list[RefusedRecord]:
    """Remove the records that Kafka has since an earlier attempt; returns the others."""
    tried = [one.record for one in records if one.tried_at is not None]
    found = await find_copies(settings, tried, partitions)
    copies = [one.id for one in records if identity_of(one.record) in found]
    store.remove(copies)
    resent.copies += len(copies)
    return [one for one in records if identity_of(one.record) not in found]


async def _send(store: RefusedRecords, link: Link, records: Sequence[RefusedRecord], resent: Resent) -> None:
    by_partition: defaultdict[int, list[RefusedRecord]] = defaultdict(list)
    for one in records:
        by_partition[hash_of_key(one.record.key) % link.partitions].append(one)
    store.note_tries([one.id for one in records])
    for partition, its in by_partition.items():
        await _send_partition(store, link.sender, partition, its, resent)


async def _send_partition(
    store: RefusedRecords, sender: Sender, partition: int, records: Sequence[RefusedRecord], resent: Resent
) -> None:
    done = 0

    def acknowledged(count: int) -> None:
        nonlocal done
        store.remove([one.id for one in records[done : done + count]])
        resent.sent += count
        done += count

    def refused() -> None:
        nonlocal done
        store.note_refusal(records[done].id)
        resent.refused += 1
        done += 1

    outgoing: list[OutgoingRecord] = [one.record for one in records]
    await send_all(sender, partition, outgoing, acknowledged, refused)
