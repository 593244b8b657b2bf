"""How loud each engine's voices are, as this worker has heard them, and what brings them to one level."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator

from policies.routing import Candidate
from proxy.audio.formats import OUTPUT_RATE_HZ, SAMPLE_BYTES
from proxy.audio.loudness import STEP_S, Gain, Meter, is_sound, lufs
from proxy.speech.prefetch import Prefetch

TARGET_LUFS = -19.0
"""What is usual for speech in one channel; the voices of most engines are near it."""

_MOST_DB, _LEAST_DB = 15.0, -20.0
"""What is quieter still is mostly noise, and would be that, loudly."""

_ENOUGH_S = 3.0
_MOST_S = 30.0
"""Of measuring a voice that is mostly silent."""

_MOST_VOICES = 4096

_PATIENCE_S = 1.0
_MOST_BYTES = round(2 * _ENOUGH_S * OUTPUT_RATE_HZ) * SAMPLE_BYTES


class Level:
    """Of one voice. Measured over the first seconds that were ever heard of it, then kept, so that its own
    loud and soft sentences stay what they are."""

    def __init__(self) -> None:
        self._powers: list[float] = []

    def __repr__(self) -> str:
        return f"<Level of {len(self._powers) * STEP_S:.1f} s>"

    @property
    def is_known(self) -> bool:
        heard_s = sum(map(is_sound, self._powers)) * STEP_S
        return heard_s >= _ENOUGH_S or len(self._powers) * STEP_S >= _MOST_S

    def meter(self) -> Meter:
        """For a stream of its sound; to be fed until the level is known."""
        return Meter(powers=self._powers)

    def gain(self) -> Gain:
        """By what is known so far."""
        heard = lufs(self._powers)
        return Gain(0.0 if heard is None else min(max(TARGET_LUFS - heard, _LEAST_DB), _MOST_DB))


class Levels:
    """Of all voices, the least recently heard forgotten first; one for each worker."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], Level] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Levels of {len(self._known)} voices>"

    def of(self, candidate: Candidate) -> Level:
        key = (candidate.model.name, candidate.engine_voice)
        level = self._known.setdefault(key, Level())
        self._known.move_to_end(key)
        if len(self._known) > _MOST_VOICES:
            self._known.popitem(last=False)
        return level


async def levelled(ahead: Prefetch, level: Level) -> AsyncGenerator[bytes, None]:
    """Its sound with one gain throughout. A voice that was never heard keeps us waiting until it is
    measured: a second at most, and no longer than the part."""
    meter = level.meter()
    first: list[bytes] = []
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while not level.is_known and sum(map(len, first)) < _MOST_BYTES:
                if (pcm := await ahead.next()) is None:
                    break
                meter.feed(pcm)
                first.append(pcm)
    except TimeoutError:
        pass  # by what there is
    gain = level.gain()
    for pcm in first:
        yield gain.feed(pcm)
    while (pcm := await ahead.next()) is not None:
        if not level.is_known:
            meter.feed(pcm)
        yield gain.feed(pcm)
