"""The track of a dub, which is made by blocks: nothing is lost where one ends."""

from collections.abc import AsyncGenerator
from typing import Any, cast

import numpy as np

from proxy.audio.formats import SAMPLE_BYTES
from proxy.features.dubs.mixing import Ducking
from proxy.features.dubs.track import OriginalBed, PlacedClip, track_speech
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.records import JobClip

RATE_HZ = 1000
LEVEL = 1000


class _Vault:
    """Has one sound, of seven seconds."""

    async def whole(self, _account: str, _digest: str) -> bytes:
        return np.full(7 * RATE_HZ, LEVEL, "<i2").tobytes()


class _Clip:
    account = digest = ""


async def test_a_line_goes_on_over_the_borders_of_blocks() -> None:
    line = PlacedClip(cast(JobClip, _Clip()), 0, 7 * RATE_HZ, 4 * RATE_HZ, 1.0)
    blocks = [block async for block in track_speech(cast(JobFiles, _Vault()), [line], 12 * RATE_HZ, RATE_HZ)]
    assert [len(block) // SAMPLE_BYTES // RATE_HZ for block in blocks] == [5, 5, 2]
    sound = np.frombuffer(b"".join(blocks), "<i2")
    assert set(sound[: 4 * RATE_HZ]) == {0}
    assert set(sound[4 * RATE_HZ : 10 * RATE_HZ]) == {LEVEL}
    assert set(sound[11 * RATE_HZ :]) == {0}


async def test_the_original_comes_whole_in_parts_of_other_lengths() -> None:
    sound = np.arange(10_000, dtype="<i2").tobytes()

    async def parts() -> AsyncGenerator[bytes, Any]:
        for at in range(0, len(sound), 6000):
            yield sound[at : at + 6000]

    bed = OriginalBed(parts(), Ducking([], RATE_HZ))
    taken = [await bed.take_sound(count) for count in (1000, 1, 4999, 5000)]
    assert b"".join(taken) == sound + bytes(2 * 1000)
