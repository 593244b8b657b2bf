"""The words of an answer, with their times. `proxy/speech_steps/word_times.py` finds them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from speech_engine import Words


class SpokenWord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A word by its place in the user's text, and its start in the answer. If no engine gave its time, it
    `is_interpolated` from its neighbours; only one that `begins_segment` is then surely where it is."""

    start_seconds: float
    source_start: int
    source_end: int
    is_interpolated: bool = False
    begins_segment: bool = False

    @property
    def place(self) -> tuple[int, int]:
        return self.source_start, self.source_end


class TimedWords:
    """The words of one candidate's speech. This class finds no times."""

    def add_timed(self, words: Words, rate_hz: float) -> None:
        """Add words that the engine has timed. Their offsets have this rate in the answer."""

    def timed_so_far(
        self, moments: Sequence[tuple[int, float]] | None, whole_s: float | None
    ) -> Sequence[SpokenWord] | None:
        """Return the timed words so far, which only grow, or None if they have no times.

        `moments` grows: see `InterpolatedWords`. It is None if the engine encodes its sound itself. `whole_s`
        is the length of the sound when it is complete.
        """
        return None


def no_words(*_: object) -> TimedWords:
    return TimedWords()
