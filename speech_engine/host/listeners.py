"""Tells whether an engine keeps up with its listeners. Only then it takes a new text."""

from __future__ import annotations

import time

from speech_engine.host.recent_sound import RecentSound
from speech_engine.values import SpeechJob

DRY_SOUNDS = 40
"""The longest piece, in sounds, for a listener who has nothing ahead."""
_FIRST_SOUND_S = 2.0
"""A text that has had no sound for so long does not keep up."""
_LOOK_S = 0.25


class SpokenText:
    """A text that is being spoken, and until when its sound lasts."""

    def __init__(self, job: SpeechJob) -> None:
        self._estimated_s = job.estimated_s
        self._has_listener = job.urgency in ("live", "ahead") and not job.is_taken_whole
        self._sound = RecentSound()
        self._plays_until = self._sound.began_at + _FIRST_SOUND_S

    def add(self, sound_s: float) -> None:
        before = self._plays_until if self._sound.made_s else 0.0
        self._plays_until = max(before, time.monotonic()) + sound_s
        self._sound.add(sound_s)

    def is_behind(self, now: float) -> bool:
        return self._has_listener and self._plays_until < now

    @property
    def speed(self) -> float:
        """The seconds of sound that were made in a second of the last minute."""
        took_s, made_s = self._sound.lately()
        return made_s / took_s if made_s else 0.0

    @property
    def left_s(self) -> float:
        return max(0.0, self._estimated_s - self._sound.made_s)


class Listeners:
    """The listeners of an engine, as a `Batch` that has room while it keeps up with them."""

    predicts_waits = False

    def __init__(self) -> None:
        self.texts: set[SpokenText] = set()

    def begin(self, job: SpeechJob) -> SpokenText:
        text = SpokenText(job)
        self.texts.add(text)
        return text

    def end(self, text: SpokenText) -> None:
        self.texts.discard(text)

    def fits_in_s(self, job: SpeechJob, admitted: tuple[SpeechJob, ...]) -> float:
        now = time.monotonic()
        if not any(text.is_behind(now) for text in self.texts):
            return 0.0
        # Until so few are left that they are spoken faster than they are heard. They share the time.
        speed = sum(text.speed for text in self.texts) or 1.0
        lengths_s = sorted([text.left_s for text in self.texts] + [each.estimated_s for each in admitted])
        in_s = ended_s = 0.0
        for number, length_s in enumerate(lengths_s):
            count = len(lengths_s) - number
            if count < speed:
                break
            in_s, ended_s = in_s + (length_s - ended_s) * count / speed, length_s
        return max(_LOOK_S, in_s)

    def goes_on(self, job: SpeechJob) -> bool:
        return job.urgency == "ahead"

    def figures(self) -> dict[str, float]:
        return {}
