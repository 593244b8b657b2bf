"""The limit of requests a minute, as headers tell it to clients."""

from __future__ import annotations

import math
from functools import lru_cache

import msgspec

WINDOW_S = 60
STEPS_A_REQUEST = 500


class Window(msgspec.Struct, frozen=True):
    """The state of a limit after a request: how many requests are left, and in how long all are free
    again."""

    limit: int
    remaining: int
    reset_s: float


def tightest_window(windows: list[Window]) -> Window | None:
    """Return the window that will refuse first: the account's or the key's."""
    first = windows[0] if windows else None
    for window in windows[1:]:
        if first is None or (window.remaining, window.limit) < (first.remaining, first.limit):
            first = window
    return first


def requests_of_job(steps: int) -> int:
    """Return as how many requests a job counts: one for each 500 steps or a part of them."""
    return max(1, math.ceil(steps / STEPS_A_REQUEST))


def retry_after_s(seconds: float) -> int:
    """Round up to whole seconds from 1 to 60: SDKs ignore other numbers, or sleep for an hour."""
    return math.ceil(min(60.0, max(1.0, seconds)))


@lru_cache(256)
def duration_text(seconds: float) -> str:
    """Return a duration as Go writes it, and OpenAI's headers too: `12ms`, `1s`, `6m0s`."""
    millis = max(0, math.ceil(seconds * 1000))
    if 0 < millis < 1000:
        return f"{millis}ms"
    minutes, rest = divmod(millis, 60_000)
    text = f"{rest / 1000:g}s"
    return f"{minutes}m{text}" if minutes else text
