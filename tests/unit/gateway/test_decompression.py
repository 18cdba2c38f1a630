"""Compressed bodies: read whole, or refused in time."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import brotli
import pytest
import zstandard

from gateway.ingest.decompression import MAX_FRAMES, decompress
from gateway.problems import BadRequest, Problem, ProblemCode, TooLarge, Unsupported

BODY = b'{"session_id": "s"}' * 1_000
LIMIT = 5 * 1024 * 1024


def raw_deflate(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(body) + compressor.flush()


COMPRESSED = {
    "gzip": gzip.compress(BODY),
    "x-gzip": gzip.compress(BODY),
    " GZIP ": gzip.compress(BODY[:100]) + gzip.compress(BODY[100:]),
    "deflate": zlib.compress(BODY),
    "Deflate": raw_deflate(BODY),
    "zstd": zstandard.compress(BODY),
    "ZSTD": zstandard.compress(BODY[:100]) + zstandard.compress(BODY[100:]),
    "br": brotli.compress(BODY),
    "gzip, br": brotli.compress(gzip.compress(BODY)),
    "identity, GZIP, identity": gzip.compress(BODY),
    "": BODY,
    "identity": BODY,
}


@pytest.mark.parametrize("encoding", COMPRESSED)
def test_a_compressed_body_is_read(encoding: str) -> None:
    assert decompress(COMPRESSED[encoding], encoding, LIMIT) == BODY


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "Deflate", "zstd", "br"])
@pytest.mark.parametrize("damage", ["cut", "empty", "noise", "changed"])
def test_a_broken_body_is_refused(encoding: str, damage: str) -> None:
    whole = COMPRESSED[encoding]
    broken = {"cut": whole[:-5], "empty": b"", "noise": b"not compressed at all", "changed": b"\xff" + whole[1:]}

    with pytest.raises(BadRequest) as refused:
        decompress(broken[damage], encoding, LIMIT)

    assert refused.value.code is ProblemCode.BAD_ENCODING


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "Deflate", "zstd", "br"])
def test_what_follows_the_end_is_refused(encoding: str) -> None:
    with pytest.raises(BadRequest):
        decompress(COMPRESSED[encoding] + b"more", encoding, LIMIT)


@pytest.mark.parametrize("encoding", ["compress", "gzip, compress", "gzip, gzip, gzip, gzip, gzip", "aes128gcm"])
def test_another_encoding_is_not_understood(encoding: str) -> None:
    with pytest.raises(Unsupported) as refused:
        decompress(BODY, encoding, LIMIT)

    assert refused.value.code is ProblemCode.UNSUPPORTED_ENCODING


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "Deflate", "zstd", "br"])
def test_the_limit_is_taken_exactly(encoding: str) -> None:
    compressed = COMPRESSED[encoding]

    assert decompress(compressed, encoding, len(BODY)) == BODY
    with pytest.raises(TooLarge):
        decompress(compressed, encoding, len(BODY) - 1)


def a_bomb(encoding: str) -> bytes:
    """Return 1 GiB of zeros in about 1 MiB, made of a part that is repeated; its end is never reached."""
    part = bytes(16 * 1024 * 1024)
    if encoding == "zstd":
        return zstandard.compress(part) * 64
    deflate = zlib.compressobj(wbits={"gzip": 31, "deflate": 15}[encoding])
    start = deflate.compress(part) + deflate.flush(zlib.Z_FULL_FLUSH)
    return start + (deflate.compress(part) + deflate.flush(zlib.Z_FULL_FLUSH)) * 63


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_a_bomb_is_refused_without_its_memory(encoding: str) -> None:
    bomb = a_bomb(encoding)

    tracemalloc.start()
    with pytest.raises(TooLarge):
        decompress(bomb, encoding, LIMIT)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 3 * LIMIT


@pytest.mark.parametrize("frame", [("gzip", gzip.compress(b"")), ("zstd", zstandard.compress(b""))])
def test_a_chain_of_empty_frames_has_an_end(frame: tuple[str, bytes]) -> None:
    encoding, empty = frame

    assert decompress(empty * MAX_FRAMES, encoding, LIMIT) == b""
    with pytest.raises(Problem):
        decompress(empty * 200_000, encoding, LIMIT)


def test_a_zstd_window_beyond_the_limit_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    body = zstandard.ZstdCompressor(compression_params=parameters).compressobj()

    with pytest.raises(BadRequest):
        decompress(body.compress(b"x" * 1000) + body.flush(), "zstd", LIMIT)
