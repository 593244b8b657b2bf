"""Whether an engine keeps up with those who listen to it. Only then it takes a new text."""

from __future__ import annotations

import time

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
        self._began_at = time.monotonic()
        self._made_s = 0.0
        self._plays_until = self._began_at + _FIRST_SOUND_S

    def add(self, sound_s: float) -> None:
        before = self._plays_until if self._made_s else 0.0
        self._plays_until = max(before, time.monotonic()) + sound_s
        self._made_s += sound_s

    def is_behind(self, now: float) -> bool:
        return self._has_listener and self._plays_until < now

    def rate(self, now: float) -> float:
        """Return the seconds that a second of its sound takes."""
        return (now - self._began_at) / self._made_s if self._made_s else 1.0

    def ends_in_s(self, now: float) -> float:
        return max(_LOOK_S, (self._estimated_s - self._made_s) * self.rate(now))


class Listeners:
    """The listeners of an engine, as a `Batch` that has room while it keeps up with them."""

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
        behind = [text for text in self.texts if text.is_behind(now)]
        if not behind:
            return 0.0
        rate = max(text.rate(now) for text in behind)
        return min(text.ends_in_s(now) for text in behind) + rate * sum(each.estimated_s for each in admitted)

    def goes_on(self, job: SpeechJob) -> bool:
        return job.urgency == "ahead"

    def figures(self) -> dict[str, float]:
        return {}
