"""The loudness of a recording, which a converted sound may follow from moment to moment."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import avg_pool1d, pad

_EVERY_S = 0.5
"""The time between two measurements of loudness. Each covers twice this time."""
_QUIETEST = 1e-6


def followed(made: Any, made_hz: int, recording_sound: Any, recording_hz: int, rate: float) -> Any:
    """Return the made sound with its own loudness (`rate` 1), the recording's (0), or one in between.

    Both sounds are of one window.
    """
    moments = torch.arange(len(made), device=made.device) / (_EVERY_S * made_hz)
    wanted, own = _levels(recording_sound, recording_hz, moments), _levels(made, made_hz, moments)
    return made * (wanted / own.clamp(min=_QUIETEST)) ** (1.0 - rate)


def _levels(sound: Any, rate_hz: int, moments: Any) -> Any:
    step = round(_EVERY_S * rate_hz)
    found = avg_pool1d(pad(sound.square(), (step, step))[None], 2 * step, step)[0].sqrt()
    first = moments.long().clamp(max=len(found) - 1)
    following = (first + 1).clamp(max=len(found) - 1)
    share = moments - first
    return found[first] * (1.0 - share) + found[following] * share
