"""The measured loudness of each voice in this worker, and the gain to a common level."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Collection
from typing import TYPE_CHECKING

from policies.routing import Candidate
from proxy.audio.formats import SAMPLE_BYTES
from proxy.catalogue.erased_voices import ErasedVoices
from proxy.speech.speech_stream import ChunkReader
from speech_engine import Voice
from speech_engine.levels import STEP_S, gain_db, is_sound
from speech_engine.values import find_digests

if TYPE_CHECKING:
    from proxy.audio.loudness import Gain
    from speech_engine.loudness import Meter

_ENOUGH_SOUND_S = 3.0
_MOST_S = 30.0
"""The longest time to measure a voice that is mostly silent."""
_MOST_VOICES = 4096
_LONGEST_WAIT_S = 1.0
_MOST_MEASURED_S = 2 * _ENOUGH_SOUND_S


_Key = tuple[str, Voice, Voice | None, float, str | None]
"""The models, the voice, the voice and the pitch of the post-step, and the emotion."""


class LoudnessLevel:
    """The level of one voice, measured over its first seconds. Its loud and soft sentences keep their
    difference."""

    def __init__(self) -> None:
        self._powers: list[float] = []

    @property
    def is_known(self) -> bool:
        sound_s = sum(map(is_sound, self._powers)) * STEP_S
        return sound_s >= _ENOUGH_SOUND_S or len(self._powers) * STEP_S >= _MOST_S

    def meter(self, rate_hz: int) -> Meter:
        """Return a meter for a stream of the voice. Feed it until the level is known.

        A voice is measured once for all rates: high frequencies add hardly any loudness.
        """
        # proxy/audio/libraries.py explains this late import.
        from speech_engine.loudness import Meter

        return Meter(rate_hz, self._powers)

    def gain(self, rate_hz: int) -> Gain:
        """Return the gain that follows from the measurements so far, for a stream at this rate."""
        from proxy.audio.loudness import Gain
        from speech_engine.loudness import lufs

        return Gain(gain_db(lufs(self._powers)), rate_hz)


class LoudnessLevels:
    """The levels of the voices that state none. The least recently used voice is forgotten first."""

    def __init__(self, erased: ErasedVoices | None = None) -> None:
        self._erased = erased or ErasedVoices()
        self._levels: OrderedDict[_Key, LoudnessLevel] = OrderedDict()

    def loudness_level(
        self, candidate: Candidate, voices: Collection[str] = (), emotion: str | None = None
    ) -> LoudnessLevel:
        """Return the level of a candidate's voice in an emotion: a whisper is softer than a shout.

        If one of `voices` was erased, the level is not stored.
        """
        if self._erased.are_any_erased(voices):
            return LoudnessLevel()
        key = (*candidate.sound, emotion)
        level = self._levels.setdefault(key, LoudnessLevel())
        self._levels.move_to_end(key)
        if len(self._levels) > _MOST_VOICES:
            self._levels.popitem(last=False)
        return level

    def forget_voice(self, voice: str, digests: Collection[str]) -> None:
        """Forget all levels: an erasure is rare, and a level is measured again within seconds."""
        del voice, digests
        self._levels.clear()

    def forget_samples(self, digests: Collection[str]) -> None:
        """Forget the voices that use any of these recordings or models."""
        for key in [
            key
            for key in self._levels
            if any(digest in digests for voice in key[1:3] if voice for digest in find_digests(voice))
        ]:
            del self._levels[key]


class LevelSound:
    """The sound of a part at one gain throughout, as PCM."""

    def __init__(self, sound: ChunkReader, level: LoudnessLevel, rate_hz: int) -> None:
        self._sound = sound
        self._level = level
        self._rate_hz = rate_hz
        self._meter = level.meter(rate_hz)
        self._most_bytes = round(_MOST_MEASURED_S * rate_hz) * SAMPLE_BYTES
        self._gain: Gain | None = None
        self._first: deque[bytes] = deque()

    async def next_pcm(self) -> bytes | None:
        """Return the next samples. A new voice is measured first: for a second at most, within its part."""
        if self._gain is None:
            await self._measure()
            self._gain = self._level.gain(self._rate_hz)
        if self._first:
            return self._gain.feed(self._first.popleft())
        pcm = await self._sound.next_pcm()
        if pcm is None:
            return self._gain.flush() or None
        if not self._level.is_known:
            self._meter.feed(pcm)
        return self._gain.feed(pcm)

    async def _measure(self) -> None:
        size = 0
        try:
            async with asyncio.timeout(_LONGEST_WAIT_S):
                while not self._level.is_known and size < self._most_bytes:
                    if (pcm := await self._sound.next_pcm()) is None:
                        break
                    self._meter.feed(pcm)
                    self._first.append(pcm)
                    size += len(pcm)
        except TimeoutError:
            pass  # the gain follows from the measurements so far
