"""Cursors: the place where a page ended, as an opaque text."""

from __future__ import annotations

import base64
import binascii
import hashlib
from datetime import datetime

import msgspec

from gateway.problems import BadRequest, ProblemCode

_DIGEST_BYTES = 6


class Place(msgspec.Struct, array_like=True, frozen=True):
    """The last row of a page by what it is sorted by; `application` is empty where a row has none of its own."""

    moment: datetime
    id: str
    application: str = ""


def encode_cursor(listing: str, place: Place) -> str:
    """Return the cursor of a place in a listing."""
    payload = msgspec.json.encode(place)
    return base64.urlsafe_b64encode(_digest(listing, payload) + payload).decode().rstrip("=")


def decode_cursor(listing: str, cursor: str) -> Place:
    """Return the place that a cursor of the same listing stands for. Raises BadRequest for any other text."""
    try:
        decoded = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        digest, payload = decoded[:_DIGEST_BYTES], decoded[_DIGEST_BYTES:]
        if digest == _digest(listing, payload):
            return msgspec.json.decode(payload, type=Place)
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        pass
    raise BadRequest("cursor is none of this listing: take `next` of its last page.", code=ProblemCode.BAD_PARAMETER)


def _digest(listing: str, payload: bytes) -> bytes:
    """Return the digest by which a changed cursor, or one of another listing, is recognised; it is no secret."""
    return hashlib.blake2b(payload, digest_size=_DIGEST_BYTES, person=listing.encode()[:16]).digest()
