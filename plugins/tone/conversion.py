"""Conversion by the tone engine: it repeats the recording at the voice's level.

A trained voice hums its pitch beside it, so that tests can tell it from others.
"""

from __future__ import annotations

import asyncio
import math
import time
from array import array
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

from plugins.tone.voices import Behaviour, commit, delay
from speech_engine.errors import UnusableSample
from speech_engine.events import Audio, Event, Finished, Started
from speech_engine.pcm import PcmPieces, nearest_samples
from speech_engine.values import SpeechJob

INPUT_RATE_HZ = 24_000
_HUM = 8_000


class Conversion:
    """The conversion of one recording, used once. With a `hum_hz`, the voice hums at that pitch."""

    def __init__(
        self,
        job: SpeechJob,
        sample_rate_hz: int,
        behaviour: Behaviour,
        tick: Callable[[], None],
        hum_hz: float = 0.0,
    ) -> None:
        self._rate_hz = sample_rate_hz
        self._behaviour = behaviour
        self._tick = tick
        self._pieces = PcmPieces(sample_rate_hz, job.max_samples)
        self._gain = 0.0 if behaviour.silent else 10 ** (behaviour.level_db / 20)
        self._turn = 2 * math.pi * hum_hz / sample_rate_hz
        self._hummed = 0
        self._samples = 0
        self._begun_s = 0.0

    async def events(self, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        fails_at = self._behaviour.fail_at_s * self._rate_hz if self._behaviour.fail else float("inf")
        await delay(self._behaviour, self._tick)
        if fails_at <= 0:
            await commit(self._behaviour.fail)
            return
        yield Started(self._rate_hz)
        async with aclosing(self._sounds(pcm)) as sounds:
            async for sound in sounds:
                # This lets other tasks run, and the job can be cancelled here.
                await self._keep_pace()
                self._samples += len(sound) // 2
                yield Audio(0, sound)
                if self._samples >= fails_at:
                    break
        if self._behaviour.fail:
            await commit(self._behaviour.fail)
            return
        if not self._samples:
            raise UnusableSample("tone hears nothing in this recording: it is empty")
        yield Finished()

    async def _sounds(self, pcm: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        whole = PcmPieces(INPUT_RATE_HZ)
        async for data in pcm:
            for piece in whole.feed(data):
                for sound in self._pieces.feed(self._repeated(piece)):
                    yield sound
            if self._pieces.is_full:
                return

    async def _keep_pace(self) -> None:
        now = time.monotonic()
        self._begun_s = self._begun_s or now
        due_s = self._begun_s + self._behaviour.pace * self._samples / self._rate_hz
        await asyncio.sleep(max(0.0, due_s - now))

    def _repeated(self, piece: bytes) -> bytes:
        pcm = nearest_samples(piece, INPUT_RATE_HZ, self._rate_hz)
        if self._gain == 1.0 and not self._turn:
            return pcm
        loud = (each * self._gain for each in array("h", pcm))
        if self._turn:
            turn, hummed = self._turn, enumerate(loud, self._hummed)
            loud = (each / 2 + _HUM * math.sin(turn * number) for number, each in hummed)
        made = array("h", (max(-32768, min(32767, round(each))) for each in loud))
        self._hummed += len(made)
        return made.tobytes()
