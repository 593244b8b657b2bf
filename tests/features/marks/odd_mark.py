"""A mark for tests: it makes odd samples of even ones, and holds one back. Sounds may also harm it."""

import os
import time
import weakref
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from speech_engine import Context, Plugin
from speech_engine.mark import Detection, MarkKey

DEADLY, ENDLESS, HARMFUL = (letter * 8 for letter in (b"d", b"e", b"h"))
BAD_RATE_HZ = 1


class OddSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    is_broken: bool = False
    model_path: str = ""


def marked(pcm: bytes) -> bytes:
    return bytes(byte | 1 if place % 2 == 0 else byte for place, byte in enumerate(pcm))


def suffer(pcm: bytes) -> None:
    if pcm == DEADLY:
        os._exit(3)
    if pcm == ENDLESS:
        time.sleep(3600)
    if pcm == HARMFUL:
        raise ValueError("a secret sound")


class OddStream:
    def __init__(self) -> None:
        self._held = b""

    def feed(self, pcm: bytes) -> bytes:
        suffer(pcm)
        sound = self._held + pcm
        self._held = sound[-2:]
        return marked(sound[:-2])

    def flush(self) -> bytes:
        return marked(self._held)


class OddMark:
    def __init__(self) -> None:
        self._streams = weakref.WeakSet[OddStream]()

    def open(self, sample_rate_hz: int, key: MarkKey, payload: int) -> OddStream:
        if sample_rate_hz == BAD_RATE_HZ:
            raise ValueError("a bad rate")
        stream = OddStream()
        self._streams.add(stream)
        return stream

    def detect(self, pcm: bytes, sample_rate_hz: int, keys: Sequence[MarkKey]) -> Detection:
        """Return as score how many streams the mark remembers."""
        suffer(pcm)
        return Detection(float(len(self._streams)), 0.0, keys[0].id, 7, seconds=len(pcm) / 2 / sample_rate_hz)


@asynccontextmanager
async def _create(name: str, settings: OddSettings, context: Context) -> AsyncIterator[OddMark]:
    if settings.is_broken:
        raise RuntimeError("it does not load")
    yield OddMark()


def voxgate_register() -> tuple[Plugin[OddSettings], ...]:
    return (Plugin(kind="mark", name="odd", settings=OddSettings, create=_create),)
