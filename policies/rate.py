"""Requests a minute, as clients are told of them."""

from __future__ import annotations

import math

import msgspec

WINDOW_S = 60


class Window(msgspec.Struct, frozen=True):
    """The state of a limit after a request: what is left of it, and when all of it is there again."""

    limit: int
    remaining: int
    reset_s: float


def tightest(windows: list[Window]) -> Window | None:
    """Of an account's and its key's: the one that will refuse first."""
    return min(windows, key=lambda window: (window.remaining, window.limit), default=None)


def retry_after_s(seconds: float) -> int:
    """Whole seconds from 1 to 60, upwards: SDKs ignore what lies outside, or sleep for an hour."""
    return math.ceil(min(60.0, max(1.0, seconds)))


def duration(seconds: float) -> str:
    """As Go writes one, which is how OpenAI's headers do it: `12ms`, `1s`, `6m0s`."""
    millis = max(0, math.ceil(seconds * 1000))
    if 0 < millis < 1000:
        return f"{millis}ms"
    minutes, rest = divmod(millis, 60_000)
    text = f"{rest / 1000:g}s"
    return f"{minutes}m{text}" if minutes else text
