"""How loud a recording is from moment to moment, given to what is made of it: RVC's `rms_mix_rate`."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import avg_pool1d, pad

_EVERY_S = 0.5
"""A moment is measured over twice of it, which is what a window has beside its own sound."""
_QUIETEST = 1e-6


def followed(made: Any, made_hz: int, heard: Any, heard_hz: int, rate: float) -> Any:
    """Return the made sound with its own loudness (a `rate` of 1), that of what was heard (0), or between.

    Both sounds are of one window, and begin together.
    """
    moments = torch.arange(len(made), device=made.device) / (_EVERY_S * made_hz)
    wanted, own = _levels(heard, heard_hz, moments), _levels(made, made_hz, moments)
    return made * (wanted / own.clamp(min=_QUIETEST)) ** (1.0 - rate)


def _levels(sound: Any, rate_hz: int, moments: Any) -> Any:
    """Return the root mean square of a sound around each moment: a line between one and the next."""
    step = round(_EVERY_S * rate_hz)
    found = avg_pool1d(pad(sound.square(), (step, step))[None], 2 * step, step)[0].sqrt()
    first = moments.long().clamp(max=len(found) - 1)
    following = (first + 1).clamp(max=len(found) - 1)
    share = moments - first
    return found[first] * (1.0 - share) + found[following] * share
