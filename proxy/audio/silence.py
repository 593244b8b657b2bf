"""Which steps of a sound are silence, by the scale of ITU-R BS.1770. It needs none of the large libraries."""

from __future__ import annotations

STEP_S = 0.1
OFFSET_DB = -0.691
SILENCE_POWER = 10 ** ((-70.0 - OFFSET_DB) / 10)


def is_sound(power: float) -> bool:
    """Tell whether a step of this power is more than silence."""
    return power > SILENCE_POWER
