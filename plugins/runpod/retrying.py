"""When a request is sent again, and after which pause: pure rules."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

from speech_engine.errors import EngineError, EngineUnavailable

MOST_TRIES = 4
MOST_PAUSE_S = 10.0
"""The longest pause. A call should end within a minute, so who is told to wait longer tells its caller."""
_FIRST_PAUSE_S = 0.5
_TEMPORARY = frozenset({408, 429})


def is_temporary(status: int) -> bool:
    return status in _TEMPORARY or status >= 500


def may_repeat(outcome: int | EngineError, *, is_safe: bool) -> bool:
    """Tell whether a request may be sent again after this status or failure.

    A request that `is_safe` has the same effect twice. Any other is sent again only if the connection was
    never made.
    """
    if isinstance(outcome, EngineUnavailable):
        return True
    return is_safe and (isinstance(outcome, EngineError) or is_temporary(outcome))


def pause_s(tries: int, dice: float, headers: Mapping[str, str]) -> float | None:
    """Return the pause after so many tries, and None if there is no further try.

    `dice`, from 0 to 1, spreads callers who failed together. A `retry-after` is the least.
    """
    if tries >= MOST_TRIES:
        return None
    asked_s = retry_after_s(headers) or 0.0
    pause = max(asked_s, _FIRST_PAUSE_S * 2 ** (tries - 1)) * (1.0 + 0.5 * dice)
    return pause if pause <= MOST_PAUSE_S * 1.5 and asked_s <= MOST_PAUSE_S else None


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of that header. None: it is missing, or a date, which Runpod does not send."""
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if isfinite(seconds) and seconds >= 0 else None
