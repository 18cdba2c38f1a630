"""Content-Encoding: compressed bodies, taken apart without ever holding more than the limit."""

from __future__ import annotations

import io
import zlib

import brotli
import zstandard

from gateway.problems import BadRequest, ProblemCode, TooLarge, Unsupported

MAX_ZSTD_WINDOW = 8 * 1024 * 1024
"""The largest window that a sender may use (RFC 9659)."""

MAX_FRAMES = 100
"""Most members of a gzip body, or frames of a zstd body, one after the other."""

GZIP_MAGIC = b"\x1f\x8b"
"""The first bytes of a gzip body (RFC 1952)."""

_GZIP, _ZLIB, _RAW_DEFLATE = 31, 15, -15
_CHUNK = 256 * 1024


MAX_CODINGS = 4
"""Most codings that one body may have, `identity` not counted."""


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """Return the body before the codings that `encoding` lists in the order they were applied (RFC 9110, 8.4).

    Raises Unsupported for another coding than gzip, deflate, zstd or br, or for too many of them, BadRequest where the
    data is broken or cut off, and TooLarge as soon as it grows beyond `limit` bytes.
    """
    codings = [coding for word in encoding.lower().split(",") if (coding := word.strip()) not in ("", "identity")]
    if len(codings) > MAX_CODINGS:
        raise _unsupported()
    for coding in reversed(codings):
        body = _decode(body, coding, limit)
    return body


def _decode(body: bytes, coding: str, limit: int) -> bytes:
    match coding:
        case "gzip" | "x-gzip":
            return _inflate(body, _GZIP, limit)
        case "deflate":
            return _inflate(body, _ZLIB if _has_zlib_header(body) else _RAW_DEFLATE, limit)
        case "zstd":
            return _unzstd(body, limit)
        case "br":
            return _unbrotli(body, limit)
    raise _unsupported()


def _unsupported() -> Unsupported:
    message = f"Content-Encoding is gzip, deflate, zstd or br, or a list of at most {MAX_CODINGS} of these."
    return Unsupported(message, code=ProblemCode.UNSUPPORTED_ENCODING)


def _inflate(body: bytes, window_bits: int, limit: int) -> bytes:
    parts: list[bytes] = []
    rest = body
    for _ in range(MAX_FRAMES if window_bits == _GZIP else 1):
        stream = zlib.decompressobj(window_bits)
        while not stream.eof:
            try:
                part = stream.decompress(rest, _CHUNK)
            except zlib.error as error:
                raise _broken(error) from None
            rest, limit = stream.unconsumed_tail, _reduced(limit, part)
            if not part and not rest and not stream.eof:
                raise _broken("it ends too early")
            parts.append(part)
        rest = stream.unused_data
        if not rest or (window_bits == _GZIP and not rest.strip(b"\0")):  # gzip(1) takes zeros for padding
            return b"".join(parts)
    raise _broken("more follows its end than is taken")


def _has_zlib_header(body: bytes) -> bool:
    return len(body) >= 2 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0


def _unzstd(body: bytes, limit: int) -> bytes:
    """Undo zstd. The first pass bounds the size, the second one sees whether the frames are whole."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW)
    try:
        with decompressor.stream_reader(io.BytesIO(body), read_across_frames=True) as reader:
            while part := reader.read(_CHUNK):
                limit = _reduced(limit, part)
        return _unzstd_whole_frames(body, decompressor)
    except zstandard.ZstdError as error:
        raise _broken(error) from None


def _unzstd_whole_frames(body: bytes, decompressor: zstandard.ZstdDecompressor) -> bytes:
    parts: list[bytes] = []
    rest = body
    for _ in range(MAX_FRAMES):
        frame = decompressor.decompressobj()
        parts.append(frame.decompress(rest))
        if not frame.eof:
            raise _broken("it ends too early")
        rest = frame.unused_data
        if not rest:
            return b"".join(parts)
    raise _broken("more follows its end than is taken")


def _unbrotli(body: bytes, limit: int) -> bytes:
    parts: list[bytes] = []
    stream = brotli.Decompressor()
    rest = body
    try:
        while not stream.is_finished():
            if not rest and stream.can_accept_more_data():
                raise _broken("it ends too early")
            part = stream.process(rest, output_buffer_limit=_CHUNK)
            rest, limit = b"", _reduced(limit, part)
            parts.append(part)
    except brotli.error as error:
        raise _broken(error) from None
    return b"".join(parts)


def _reduced(limit: int, part: bytes) -> int:
    """Return what may still come. Raises TooLarge where the part was more than that."""
    if len(part) > limit:
        raise TooLarge("The body is too large after decompression.")
    return limit - len(part)


def _broken(error: object) -> BadRequest:
    return BadRequest(f"The compressed body can't be read: {error}.", code=ProblemCode.BAD_ENCODING)
