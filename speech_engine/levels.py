"""The loudness at which all voices speak, and the constants of its measure, ITU-R BS.1770."""

from __future__ import annotations

import math

TARGET_LUFS = -20.0
"""The usual loudness of speech in one channel."""
MOST_PEAK = 10 ** (-1.2 / 20)
"""The highest peak, -1.2 dBTP, as a part of full scale. A mark or an encoder adds a little to it."""
QUIETEST_LUFS = -60.0
"""The lowest loudness that a voice may state. A quieter sound is silence."""

_MOST_GAIN_DB, _LEAST_GAIN_DB = 15.0, -20.0
"""The limits of a gain. A voice that is much quieter is mostly noise, which would become loud."""

STEP_S = 0.1
"""The loudness of sound is measured in steps of this length."""
OFFSET_DB = -0.691
"""The constant in the loudness formula."""
SILENCE_POWER = 10 ** ((-70.0 - OFFSET_DB) / 10)
"""The power of sound at -70 LUFS. The standard ignores steps below it."""


def is_sound(power: float) -> bool:
    """Tell whether a step with this power is louder than silence."""
    return power > SILENCE_POWER


def gain_db(lufs: float | None) -> float:
    """Return the gain that brings a voice of this loudness to that of all, or 0 if none is known."""
    # A comparison with NaN is false.
    if lufs is None or not lufs <= 0.0:
        return 0.0
    return min(max(TARGET_LUFS - lufs, _LEAST_GAIN_DB), _MOST_GAIN_DB)


def factor_of(decibels: float) -> float:
    return math.pow(10.0, decibels / 20)
