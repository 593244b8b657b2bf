"""A comparer for tests: two sounds are of one speaker if they have one pitch. Sounds may also harm it."""

import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import numpy as np

from speech_engine import Context, Plugin, SpeakerScale
from speech_engine.comparer import COMPARED_RATE_HZ

DEADLY, ENDLESS, HARMFUL, NO_NUMBER, OUTWARD = (letter * 8 for letter in (b"d", b"e", b"h", b"n", b"o"))


class PitchSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    is_broken: bool = False


class PitchComparer:
    scale = SpeakerScale(same=0.9, other=0.5)

    def compare(self, one: bytes, other: bytes) -> float:
        if one == DEADLY:
            os._exit(3)
        if one == ENDLESS:
            time.sleep(3600)
        if one == HARMFUL:
            raise ValueError("a secret sound")
        if one == NO_NUMBER:
            return float("nan")
        if one == OUTWARD:
            socket.create_connection(("127.0.0.1", 9))
        low, high = sorted((_pitch_hz(one), _pitch_hz(other)))
        return low / high if high else 1.0


def _pitch_hz(pcm: bytes) -> float:
    samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.float64)
    if not samples.any():
        return 0.0
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * COMPARED_RATE_HZ / len(samples))


@asynccontextmanager
async def _create(name: str, settings: PitchSettings, context: Context) -> AsyncIterator[PitchComparer]:
    if settings.is_broken:
        raise RuntimeError("it does not load")
    yield PitchComparer()


def voxgate_register() -> tuple[Plugin[PitchSettings], ...]:
    return (Plugin(kind="comparer", name="pitch", settings=PitchSettings, create=_create),)
