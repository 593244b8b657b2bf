"""Cuts off what a network says for the pads around a piece: noise, with a ghost of the first syllable.

The network that learned Thai fills them so, as it was trained on sounds without silence at their ends.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plugins.kokoro.voices import RATE_HZ

_WINDOW = RATE_HZ // 100
_GAP = 5
"""The windows without voice that speech may have: stops and hisses."""
_MARGIN, _FADE = RATE_HZ // 40, RATE_HZ // 100
_LOUD_SHARE, _VOICED = 0.1, 0.5
"""-20 dB of the loudest window, and how like itself a window with voice is after a period."""
_SHORTEST_PERIOD, _LONGEST_PERIOD = RATE_HZ // 400, RATE_HZ // 60


def without_pads(
    sound: NDArray[np.float32], first_end: float, last_begin: float
) -> tuple[int, NDArray[np.float32]]:
    """Return the sound without its pads, faded, and how much was cut off before it.

    `first_end` and `last_begin` are where the pads end and begin. Voice that goes on into one stays.
    """
    windows = len(sound) // _WINDOW
    if not windows:
        return 0, sound
    frames = sound[: windows * _WINDOW].reshape(windows, _WINDOW)
    loudness = np.sqrt(np.mean(frames**2, axis=1))
    least = _LOUD_SHARE * np.max(loudness)

    def is_voiced(number: int) -> bool:
        if loudness[number] < least:
            return False
        frame = frames[number] - np.mean(frames[number])
        shifted = np.correlate(frame, frame, "full")[_WINDOW - 1 :]
        return bool(
            shifted[0] > 1e-9 and np.max(shifted[_SHORTEST_PERIOD:_LONGEST_PERIOD]) > _VOICED * shifted[0]
        )

    def last_voiced(border: float, step: int) -> int:
        """Return the last window with voice on the way from a border, if speech goes on there."""
        found = number = min(int(border) // _WINDOW, windows - 1)
        gap = 0
        while 0 <= number < windows and gap <= _GAP:
            is_speech = is_voiced(number)
            found, gap = (number, 0) if is_speech else (found, gap + 1)
            number += step
        return found

    begin = max(0, min(last_voiced(first_end, -1) * _WINDOW, int(first_end)) - _MARGIN)
    end = min(len(sound), max((last_voiced(last_begin, 1) + 1) * _WINDOW, int(last_begin)) + _MARGIN)
    kept = sound[begin:end].copy()
    fade = min(_FADE, len(kept))
    if fade > 1:
        ramp = np.linspace(0.0, 1.0, fade, dtype=kept.dtype)
        kept[:fade] *= ramp
        kept[-fade:] *= ramp[::-1]
    return begin, kept
