"""The contract of a comparer: derive a class from `ComparerContract`, and pytest runs it."""

from __future__ import annotations

import math
from contextlib import AbstractAsyncContextManager

from speech_engine.comparer import COMPARED_RATE_HZ, Comparer
from speech_engine.testing.rules import require


class ComparerContract:
    """The promises of every comparer, with one test for each.

    `recordings` gives some of each of two speakers or more, as PCM at `COMPARED_RATE_HZ`: at least two of
    each, clean, of four seconds or longer, and of speakers that are not alike.
    """

    def comparer(self) -> AbstractAsyncContextManager[Comparer]:
        """Create a comparer for one test. The end of the block must free all that it took."""
        raise NotImplementedError("a comparer's contract tests say how to create it")

    def recordings(self) -> dict[str, list[bytes]]:
        raise NotImplementedError("a comparer's contract tests need recordings")

    async def test_its_scale_is_in_order(self) -> None:
        async with self.comparer() as comparer:
            scale = comparer.scale
            require(-1 <= scale.other <= scale.same <= 1, "a scale is two numbers from -1 to 1, in order")

    async def test_a_recording_is_its_own_speaker_s(self) -> None:
        async with self.comparer() as comparer:
            for recordings in self.recordings().values():
                score = comparer.compare(recordings[0], recordings[0])
                require(score >= comparer.scale.same, "a recording is of the speaker that it is of")

    async def test_the_order_does_not_matter(self) -> None:
        async with self.comparer() as comparer:
            (one, *_), (other, *_), *_ = self.recordings().values()
            there, back = comparer.compare(one, other), comparer.compare(other, one)
            require(math.isclose(there, back, abs_tol=1e-3), "two recordings have one score, in either order")

    async def test_speakers_are_told_apart(self) -> None:
        """The worst score of one speaker is above the best of two."""
        async with self.comparer() as comparer:
            speakers = self.recordings()
            for name, recordings in speakers.items():
                same = min(comparer.compare(recordings[0], each) for each in recordings[1:])
                for other, others in speakers.items():
                    if other != name:
                        best = max(comparer.compare(recordings[0], each) for each in others)
                        require(best < same, f"{name} is told from {other}")

    async def test_what_has_no_speech_raises_nothing(self) -> None:
        async with self.comparer() as comparer:
            one = next(iter(self.recordings().values()))[0]
            for sound in (b"", bytes(2), bytes(2 * COMPARED_RATE_HZ), b"\xff\x7f" * COMPARED_RATE_HZ):
                score = comparer.compare(one, sound)
                require(math.isfinite(score) and -1.001 <= score <= 1.001, "a score is from -1 to 1")
