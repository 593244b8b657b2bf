"""Cutting bytes into the ragged pieces that engines and sockets give."""

from collections.abc import Iterator, Sequence
from itertools import cycle

from proxy.audio.encode import Encoder
from proxy.audio.formats import Chunk
from proxy.audio.sound import Sound


def cut(data: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    """Pieces of these sizes, over and over until the data ends."""
    at = 0
    for size in cycle(sizes):
        if at >= len(data):
            return
        yield data[at : at + size]
        at += size


def encoded(encoder: Encoder | Sound, pieces: Iterator[bytes]) -> list[Chunk]:
    """Every chunk from the first piece to the flush; the encoder is closed."""
    chunks = [encoder.feed(piece) for piece in pieces]
    chunks.append(encoder.flush())
    encoder.close()
    return chunks


def body(chunks: Sequence[Chunk]) -> bytes:
    return b"".join(chunk.data for chunk in chunks)
