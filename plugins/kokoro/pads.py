"""Cuts off what a network says for the pads around a piece: noise, with a ghost of the first syllable.

The network that learned Thai fills them so, as it was trained on sounds without silence at their ends.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plugins.kokoro.voices import RATE_HZ

_WINDOW, _MARGIN, _FADE = RATE_HZ // 100, RATE_HZ // 40, RATE_HZ // 100
_GAP = 5
"""The windows without voice that speech may have: stops and hisses."""
_LOUD_SHARE, _VOICED = 0.1, 0.5
"""-20 dB of the loudest window, and how like itself a window with voice is after a period."""
_PERIODS = slice(RATE_HZ // 400, RATE_HZ // 60)


def without_pads(
    sound: NDArray[np.float32], first_end: int, last_begin: int
) -> tuple[int, NDArray[np.float32]]:
    """Return how much is cut off before the sound, and what is left without its pads, faded.

    `first_end` and `last_begin` are where the pads end and begin. Voice that goes on into one stays.
    """
    windows = len(sound) // _WINDOW
    if not windows:
        return 0, sound
    frames = sound[: windows * _WINDOW].reshape(windows, _WINDOW)
    loudness = np.sqrt(np.mean(frames**2, axis=1))

    def is_voiced(number: int) -> bool:
        frame = frames[number] - np.mean(frames[number])
        likeness = np.correlate(frame, frame, "full")[_WINDOW - 1 :]
        is_loud = loudness[number] >= _LOUD_SHARE * np.max(loudness) and likeness[0] > 1e-9
        return bool(is_loud and np.max(likeness[_PERIODS]) > _VOICED * likeness[0])

    def last_voiced(border: int, step: int) -> int:
        """Return the last window with voice on the way from a border, or the border's own."""
        found = number = min(border // _WINDOW, windows - 1)
        gap = 0
        while 0 <= number < windows and gap <= _GAP:
            found, gap = (number, 0) if is_voiced(number) else (found, gap + 1)
            number += step
        return found

    begin = max(0, min(last_voiced(first_end, -1) * _WINDOW, first_end) - _MARGIN)
    end = min(len(sound), max((last_voiced(last_begin, 1) + 1) * _WINDOW, last_begin) + _MARGIN)
    kept = sound[begin:end].copy()
    ramp = np.linspace(0.0, 1.0, min(_FADE, len(kept)), dtype=kept.dtype)
    kept[: len(ramp)] *= ramp
    kept[len(kept) - len(ramp) :] *= ramp[::-1]
    return begin, kept
