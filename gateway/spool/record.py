"""A record in the spool, and its form on disk."""

from __future__ import annotations

import zlib
from pathlib import Path

import msgspec

from gateway.outgoing import OutgoingRecord

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(OutgoingRecord).decode

ENTRY_BYTES = 64
"""Bytes an entry takes on disk apart from its record, roughly."""


class Spooled:
    """A record in the spool; `hash` is Kafka's of its key. `segment` and `id` are its place, once it is written.

    `leased` at the start: a sender has it, so that it is not read until it is released.
    """

    __slots__ = ("hash", "id", "leased", "record", "segment", "size")

    def __init__(self, record: OutgoingRecord, key_hash: int, *, leased: bool = False) -> None:
        self.record = record
        self.hash = key_hash
        self.leased = leased
        headers = sum(len(name) + len(value) for name, value in record.headers)
        self.size = ENTRY_BYTES + len(record.key) + len(record.value) + headers
        self.segment: Path | None = None
        self.id = 0


def checksum_of(key_hash: int, blob: bytes) -> int:
    """Return the checksum that a record is stored with."""
    return zlib.crc32(blob, key_hash)
