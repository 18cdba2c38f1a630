"""Identifiers of events."""

from __future__ import annotations


def uuid7(nanoseconds: int, random: int) -> str:
    """Return the UUIDv7 (RFC 9562) of a time since 1970 and 62 random bits, in canonical form.

    The twelve bits behind the millisecond are its fraction, so that ids of one process sort by time.
    """
    millis, fraction = divmod(nanoseconds, 1_000_000)
    value = millis << 80 | 0x7 << 76 | (fraction * 4096 // 1_000_000) << 64 | 0x2 << 62 | random
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
