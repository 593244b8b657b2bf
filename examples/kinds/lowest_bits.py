"""A mark in the lowest bit of each sample: nobody hears it, and any lossy format removes it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from itertools import product
from typing import Any

import msgspec
import numpy as np

import speech_engine as se
from speech_engine.mark import PAYLOAD_BITS, require_rate
from speech_engine.plugin import NoSettings

BITS = 64 + PAYLOAD_BITS  # the key's and the payload's, again and again


class Stream(msgspec.Struct):
    bits: Any

    def feed(self, pcm: bytes) -> bytes:
        samples = np.frombuffer(pcm, "<i2")
        bits, self.bits = np.resize(self.bits, len(samples)), np.roll(self.bits, -len(samples))
        return np.where(samples >> 1, samples & -2 | bits, samples).astype("<i2").tobytes()  # silence stays

    def flush(self) -> bytes:
        return b""


class LowestBits:
    def open(self, sample_rate_hz: int, key: se.MarkKey, payload: int) -> Stream:
        require_rate(sample_rate_hz)
        if payload >> PAYLOAD_BITS:
            raise ValueError("a payload has 32 bits")
        pattern = sha256(key.secret).digest()[:8] + payload.to_bytes(4)
        return Stream(np.unpackbits(np.frombuffer(pattern, np.uint8)))

    def detect(self, pcm: bytes, sample_rate_hz: int, keys: Sequence[se.MarkKey]) -> se.Detection:
        samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2")
        votes = np.where(samples >> 1, samples % 2 * 2 - 1, 0)
        sums = np.bincount(np.arange(len(samples)) % BITS, votes, BITS)
        for key, shift in product(keys, range(BITS)):  # a part of a clip may begin anywhere
            found = np.packbits(np.roll(sums, -shift) > 0).tobytes()
            if found.startswith(sha256(key.secret).digest()[:8]):  # by chance once in 2^64 tries
                return se.Detection(1, 1, key.id, int.from_bytes(found[8:]), 0, len(samples) / sample_rate_hz)
        return se.Detection(0, 1)


@asynccontextmanager
async def create(name: str, settings: NoSettings, context: se.Context) -> AsyncIterator[LowestBits]:
    yield LowestBits()


def voxgate_register() -> tuple[se.Plugin[NoSettings], ...]:
    return (se.Plugin(kind="mark", name="lowest-bits", settings=NoSettings, create=create),)
