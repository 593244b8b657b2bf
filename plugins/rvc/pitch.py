# SPDX-License-Identifier: GPL-3.0-or-later
"""The pitch of a sound by Praat's autocorrelation, and its coarse form.

Only this file loads parselmouth, which is under the GPL, so this file is, too.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import parselmouth

HUBERT_HZ = 16_000
HOP = 160
"""The samples of a frame, at `HUBERT_HZ`."""
LEAST_HZ, MOST_HZ = 50.0, 1100.0

_COARSE = 256
_VOICED = 0.6
_SILENT = 0.03
"""Frames below this share of the loudest one have no pitch."""


def praat_pitch(sound: Any, loudest: float = 0.0) -> Any:
    """Return the pitch of each frame in Hz, or 0. `sound` has floats at HUBERT_HZ.

    `loudest` is the loudest sample of the whole recording.
    """
    frames = len(sound) // HOP
    own = float(np.abs(sound).max(initial=0.0))
    try:
        pitch = parselmouth.Sound(np.asarray(sound, np.float64), HUBERT_HZ).to_pitch_ac(
            time_step=HOP / HUBERT_HZ,
            # Praat's threshold is a share of the loudest sample of this sound.
            silence_threshold=_SILENT * max(1.0, loudest / own) if own else _SILENT,
            voicing_threshold=_VOICED,
            pitch_floor=LEAST_HZ,
            pitch_ceiling=MOST_HZ,
        )
    except parselmouth.PraatError:  # shorter than three periods of the lowest pitch
        return np.zeros(frames, np.float32)
    found = pitch.selected_array["frequency"][:frames]
    before = (frames - len(found) + 1) // 2
    return np.pad(found, (before, frames - len(found) - before)).astype(np.float32)


_LEAST_MEL = 1127.0 * math.log1p(LEAST_HZ / 700.0)
_MOST_MEL = 1127.0 * math.log1p(MOST_HZ / 700.0)


def coarse(hz: Any) -> Any:
    """Return the network's numbers for pitches in Hz, from 1 to 255. 1 is no pitch."""
    mel = 1127.0 * np.log1p(np.asarray(hz, np.float64) / 700.0)
    steps = (mel - _LEAST_MEL) * (_COARSE - 2) / (_MOST_MEL - _LEAST_MEL) + 1
    return np.rint(np.clip(np.where(mel > 0, steps, 1), 1, _COARSE - 1)).astype(np.int64)
