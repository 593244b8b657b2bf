"""The waits for a provider: before its next request, before a retry, and for the first audio."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from speech_engine.names import StandsIn

WINDOW_S = 60.0
MOST_TRIES = 3
"""The most tries of one request on one engine, the first one included."""

LAST_SILENT_S, UNHEARD_SILENT_S = 8.0, 60.0
"""The silence of a provider without a follower, and of one without a listener: to give it up gains little,
and it may bill."""

_BASE_S = 0.2
_LONGEST_RETRY_S = 4.0
_CANDIDATE_SHARE = 0.6
_HEARING_SHARE = 0.25
_LONGEST_HEARING_S = 90.0
_STANDS_IN_S = {"same_speaker": 3.0, "same_gender": 3.0, "other_gender": 6.0}


def pace_wait_s(times: Sequence[float], most: int, now: float) -> float:
    """Return the wait before the next request, so that no minute has more than `most` requests.

    `times` are the moments of the last requests, the oldest first.
    """
    if len(times) < most:
        return 0.0
    return max(0.0, times[-most] + WINDOW_S - now)


def retry_delay_s(tries: int, retry_after_s: float | None, chance: float, left_s: float) -> float | None:
    """Return the wait before the next try, or None if there is no next one.

    If the provider sent a time, the wait is a little longer than that. Otherwise the delay doubles with each
    try, reduced by up to a half by `chance` (0 to 1), so that failed requests do not return together.
    """
    if tries >= MOST_TRIES:
        return None
    if retry_after_s is not None and retry_after_s > 0:
        delay_s = retry_after_s * (1 + 0.1 * chance)
    else:
        delay_s = min(_LONGEST_RETRY_S, _BASE_S * 2.0 ** (tries - 1)) * (1 - chance / 2)
    return delay_s if delay_s < left_s else None


def first_audio_share_s(left_s: float, others: int) -> float:
    """Return the seconds that this candidate has until its first audio, if `others` candidates follow it.

    The last candidate may take all the time that is left. Each earlier one leaves two fifths for the next.
    """
    return left_s if others <= 0 else left_s * _CANDIDATE_SHARE


def silent_s(first_bytes_s: Collection[float], sound_s: float) -> float:
    """Return how long a provider may be silent after it got a request: three times the p95 of its own last
    first bytes, at least 3 and at most 6. If few are known, 6. Some send nothing before all of the sound is
    made, so it is a fifth of that at least."""
    if len(first_bytes_s) < 16:
        return 6.0
    p95_s = sorted(first_bytes_s)[-1 - len(first_bytes_s) // 20]
    return min(6.0, max(3.0, 3.0 * p95_s, sound_s / 5))


def stand_in_s(stands_in: StandsIn) -> float:
    """Return how long a natural voice may be silent before the voice of another engine starts beside it."""
    return _STANDS_IN_S.get(stands_in, 0.0)


def is_late(misses: Sequence[float], now: float) -> bool:
    """Return whether an engine has missed its time to first audio twice within the window."""
    return len(misses) >= 2 and now - misses[-2] < WINDOW_S


def hearing_s(sound_s: float) -> float:
    """Return the extra seconds to first audio of an engine that first receives and processes a whole sound.

    A quarter of the sound's length is ten times the usual upload, and five times the usual processing.
    """
    return min(_LONGEST_HEARING_S, _HEARING_SHARE * sound_s)
