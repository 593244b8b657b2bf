"""How long to wait for a provider: before its next request, before a retry, and for the first audio."""

from __future__ import annotations

from collections.abc import Sequence

WINDOW_S = 60.0
TRIES = 3
"""The most tries of one request on one engine, the first one included."""

_BASE_S = 0.2
_LONGEST_S = 4.0
_FIRST_SHARE = 0.6
_HEARING_SHARE = 0.25
_LONGEST_HEARING_S = 90.0


def pace_wait_s(sent: Sequence[float], most: int, now: float) -> float:
    """Return how long the next request waits, so that no minute has more than `most` requests.

    `sent` are the moments of the last requests, the oldest first. Those before the window do not count.
    """
    if len(sent) < most:
        return 0.0
    return max(0.0, sent[-most] + WINDOW_S - now)


def retry_delay_s(tries: int, retry_after_s: float | None, chance: float, left_s: float) -> float | None:
    """Return how long to wait after so many tries, or None if there is no other try.

    If the provider said when to come back, we wait that long and a little more. Otherwise the delay doubles
    with each try, less up to a half by `chance` (0 to 1): requests that failed together come back apart.
    """
    if tries >= TRIES:
        return None
    if retry_after_s is not None and retry_after_s > 0:
        delay_s = retry_after_s * (1 + 0.1 * chance)
    else:
        delay_s = min(_LONGEST_S, _BASE_S * 2.0 ** (tries - 1)) * (1 - chance / 2)
    return delay_s if delay_s < left_s else None


def first_audio_share_s(left_s: float, others: int) -> float:
    """Return how much of the time that is left this candidate may take, with `others` behind it.

    The last candidate may take all. Each one before it leaves two fifths for the next: a provider that is
    silent for this long seldom speaks in the rest, and another one may.
    """
    return left_s if others <= 0 else left_s * _FIRST_SHARE


def is_late(misses: Sequence[float], now: float) -> bool:
    """Tell whether an engine is late: it has missed its time to first audio twice within the window."""
    return len(misses) >= 2 and now - misses[-2] < WINDOW_S


def hearing_s(sound_s: float) -> float:
    """Return how much longer the first audio may take of an engine that hears a sound of so long to its end
    before it begins: the sound is uploaded, then worked on whole.

    A quarter of the sound's length is ten times what a usual line needs, and five times what engines do. Who
    has uploaded minutes of sound waits longer than who has sent a text.
    """
    return min(_LONGEST_HEARING_S, _HEARING_SHARE * sound_s)
