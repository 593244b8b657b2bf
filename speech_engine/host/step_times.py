"""Learns the time of a step by its weight, and the time of the model thread beside its steps. It has no
clock.

The time of a step has a fixed part, and a part that grows with the weight of its rows: 1.0 each, if the model
tells none. Between steps, texts join, sound is made, and calls run: each is a rate, in seconds of work for a
second of sound. A burst of new listeners brings many texts at once, and yet each of them joins only once.
"""

from __future__ import annotations

from collections.abc import Iterable

_PAST_WEIGHT = 0.98
"""The weight of the past. Fifty steps, a second or two, hide the steps before them."""

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
            self._work_s *= _PAST_WEIGHT
            self._sound_s *= _PAST_WEIGHT


class BesideSteps:
    """The rates of joins, of sound and of calls, and their sum."""

    def __init__(self) -> None:
        self._joins, self._sounds, self._calls = _Rate(), _Rate(), _Rate()

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


MARGIN = 0.95
"""The part of the measured speed that is promised: estimates of lengths are too low now and then."""

_LEAST_COUNT = 1.0
"""The least weight of old measurements: a minute with one listener must not hide the time of wide steps."""

_LEAST_STEPS = 8
"""The first steps are slow: a device is still cold."""


class _StepsOfRows:
    """The steps of one number of rows: their `count` and all `seconds`, which fade, and a mean weight."""

    def __init__(self) -> None:
        self.count = self.seconds = self.weight = 0.0

    def fade(self) -> None:
        keeps = max(_PAST_WEIGHT, _LEAST_COUNT / self.count)
        self.count *= keeps
        self.seconds *= keeps

    def add(self, weight: float, seconds: float) -> None:
        self.count += 1.0
        self.seconds += seconds
        self.weight += (weight - self.weight) / self.count


class StepTimes:
    """A line through the measured steps of all weights. A step makes `step_s` seconds of sound of a weight of
    1.0."""

    def __init__(self, step_s: float) -> None:
        self.steps = 0
        self.step_s = step_s
        self.beside = BesideSteps()
        self._widths: dict[int, _StepsOfRows] = {}
        self._line = (0.0, 0.0, 0.0)  # a mean weight, the seconds of such a step, and the slope

    @property
    def is_known(self) -> bool:
        return self.steps >= _LEAST_STEPS

    def learn(self, rows: int, seconds: float, weight: float | None = None) -> None:
        self.steps += 1
        for each in self._widths.values():
            each.fade()
        self._widths.setdefault(rows, _StepsOfRows()).add(rows if weight is None else weight, seconds)
        self._fit_line()

    def seconds(self, weight: float) -> float:
        """Predict a step of so much weight; 0 before anything was measured."""
        mean_weight, mean_s, slope = self._line
        return mean_s + slope * (weight - mean_weight)

    def turn_s(self, weight: float) -> float:
        """Predict a step, and the work beside it that its sound needs."""
        return max(1e-9, self.seconds(weight) + weight * self.step_s * self.beside.rate)

    def widest(self, rates: Iterable[float], most: float) -> float:
        """Return the widest step, `most` at best, in which each flowing row gets sound as fast as it plays.

        A row takes one step after another, so a wide step can be too slow for it although the device makes
        enough for all. A rate beyond a step of one row limits no step: fewer rows would not help.
        """
        fastest = max((rate for rate in rates if self._keeps_up(1, rate)), default=0.0)
        while most > 1 and not self._keeps_up(most, fastest):
            most -= 1
        return most

    def _keeps_up(self, weight: float, rate: float) -> bool:
        return self.turn_s(weight) * rate <= self.step_s * MARGIN

    def _fit_line(self) -> None:
        widths = self._widths.values()
        count = sum(each.count for each in widths)
        mean = sum(each.weight * each.count for each in widths) / count
        mean_s = sum(each.seconds for each in widths) / count
        spread = sum((each.weight - mean) ** 2 * each.count for each in widths)
        product = sum((each.weight - mean) * each.seconds for each in widths)
        slope = product / spread if spread > 1e-6 else 0.0
        # Noise may tilt the line. A row never makes a step shorter, and never costs more than all of it.
        # At once: the gate reads it in another thread.
        self._line = (mean, mean_s, min(max(slope, 0.0), mean_s / mean))
