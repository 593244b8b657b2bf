"""Learns what the model thread does beside its steps: texts join, sound is made, and others ask for work.

Each is a rate, in seconds of work for a second of sound. A burst of new listeners brings many texts at once,
and yet each of them joins only once. Without a clock.
"""

from __future__ import annotations

_KEEPS = 0.98
"""The weight of the past."""

_UNKNOWN_S = 20.0
"""So much sound without any cost stands at the beginning: the first text or voice of all may be slow."""


class _Rate:
    def __init__(self) -> None:
        self._work_s, self._sound_s = 0.0, _UNKNOWN_S

    @property
    def value(self) -> float:
        return self._work_s / self._sound_s

    def add(self, work_s: float, sound_s: float) -> None:
        self._work_s += work_s
        self._sound_s += sound_s

    def fade(self) -> None:
        if self._sound_s > _UNKNOWN_S:
            self._work_s *= _KEEPS
            self._sound_s *= _KEEPS


class BesideSteps:
    """The rates of joins, of sound and of calls, and their sum."""

    def __init__(self) -> None:
        self._joins, self._sounds, self._calls = _Rate(), _Rate(), _Rate()

    def __repr__(self) -> str:
        return f"<BesideSteps {self.rate:.4f} s for a second of sound>"

    @property
    def rate(self) -> float:
        return self._joins.value + self._sounds.value + self._calls.value

    def note_join(self, seconds: float, estimated_s: float) -> None:
        """Note that a text joined, which will make so much sound."""
        for rate, work_s in ((self._joins, seconds), (self._calls, 0.0)):
            rate.fade()
            rate.add(work_s, estimated_s)

    def note_sound(self, seconds: float, made_s: float) -> None:
        self._sounds.fade()
        self._sounds.add(seconds, made_s)

    def note_call(self, seconds: float) -> None:
        """Note work such as the making of a voice. It is for the texts that join next."""
        self._calls.add(seconds, 0.0)
