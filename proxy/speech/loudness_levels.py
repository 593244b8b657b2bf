"""The loudness of each voice, as this worker has measured it, and the gain that brings it to one level."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator

from policies.routing import Candidate
from proxy.audio.formats import OUTPUT_RATE_HZ, SAMPLE_BYTES
from proxy.audio.loudness import STEP_S, Gain, Meter, is_sound, lufs
from proxy.speech.prefetch import Prefetch

TARGET_LUFS = -19.0
"""The usual loudness of speech in one channel. The voices of most engines are near it."""

_MOST_DB, _LEAST_DB = 15.0, -20.0
"""The limits of the gain. A voice that is much quieter is mostly noise, and would be loud noise."""

_ENOUGH_S = 3.0
_MOST_S = 30.0
"""The longest time to measure a voice that is mostly silent."""

_MOST_VOICES = 4096

_PATIENCE_S = 1.0
_MOST_BYTES = round(2 * _ENOUGH_S * OUTPUT_RATE_HZ) * SAMPLE_BYTES


class LoudnessLevel:
    """The level of one voice. It is measured over the first seconds of the voice, and then kept.

    So the voice's own loud and soft sentences stay as they are.
    """

    def __init__(self) -> None:
        self._powers: list[float] = []

    @property
    def is_known(self) -> bool:
        sound_s = sum(map(is_sound, self._powers)) * STEP_S
        return sound_s >= _ENOUGH_S or len(self._powers) * STEP_S >= _MOST_S

    def meter(self) -> Meter:
        """Return a meter for a stream of the voice. Feed it until the level is known."""
        return Meter(powers=self._powers)

    def gain(self) -> Gain:
        """Return the gain that follows from the measurements so far."""
        measured_lufs = lufs(self._powers)
        return Gain(
            0.0 if measured_lufs is None else min(max(TARGET_LUFS - measured_lufs, _LEAST_DB), _MOST_DB)
        )


class LoudnessLevels:
    """The levels of all voices in this worker. The voice that was used longest ago is forgotten first."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], LoudnessLevel] = OrderedDict()

    def __repr__(self) -> str:
        return f"<LoudnessLevels of {len(self._known)} voices>"

    def find(self, candidate: Candidate) -> LoudnessLevel:
        key = (candidate.model.name, candidate.engine_voice)
        level = self._known.setdefault(key, LoudnessLevel())
        self._known.move_to_end(key)
        if len(self._known) > _MOST_VOICES:
            self._known.popitem(last=False)
        return level


async def level_sound(prefetch: Prefetch, level: LoudnessLevel) -> AsyncGenerator[bytes, None]:
    """Give the sound of a part with one gain throughout.

    A new voice is measured first: for a second at most, and no longer than the part.
    """
    meter = level.meter()
    first: list[bytes] = []
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while not level.is_known and sum(map(len, first)) < _MOST_BYTES:
                if (pcm := await prefetch.next_chunk()) is None:
                    break
                meter.feed(pcm)
                first.append(pcm)
    except TimeoutError:
        pass  # the gain follows from what was measured so far
    gain = level.gain()
    for pcm in first:
        yield gain.feed(pcm)
    while (pcm := await prefetch.next_chunk()) is not None:
        if not level.is_known:
            meter.feed(pcm)
        yield gain.feed(pcm)
