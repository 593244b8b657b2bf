"""Where long recordings are cut: nothing is lost, no stretch is too long, and cuts are quiet."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.features.transcriptions.long_recordings import (
    LEAST_MS,
    LEVEL_MS,
    MOST_MS,
    cut_stretches,
    is_silent,
)

LOUD, QUIET = 10, 120


@given(st.integers(1, 3000), st.randoms(use_true_random=False), st.sampled_from([4_000, 10_000, MOST_MS]))
def test_the_stretches_are_the_whole_and_none_is_too_long_or_too_short(
    levels: int, by: object, most: int
) -> None:
    whole_ms = levels * LEVEL_MS - 7
    loud = bytes(by.randrange(256) for _ in range(levels))  # type: ignore[attr-defined]
    found = cut_stretches(loud, whole_ms, most)
    assert (found[0][0], found[-1][1]) == (0, whole_ms)
    assert all(end == start for (_, end), (start, _) in pairwise(found))
    assert all(0 < end - start <= most for start, end in found)
    if whole_ms > most:
        assert all(end - start >= LEAST_MS - LEVEL_MS for start, end in found)


@pytest.mark.parametrize("pause_at_ms", [5_100, 7_000, 9_700])
def test_a_cut_is_in_a_pause(pause_at_ms: int) -> None:
    levels = bytearray([LOUD] * 1000)
    first = pause_at_ms // LEVEL_MS
    levels[first : first + 20] = bytes([QUIET] * 20)
    cut = cut_stretches(bytes(levels), 20_000, 10_000)[0][1]
    assert pause_at_ms + 100 <= cut <= min(pause_at_ms + 20 * LEVEL_MS - 100, 10_000)


def test_a_click_in_a_pause_is_avoided_and_a_short_dip_is_no_pause() -> None:
    levels = bytearray([LOUD] * 1000)
    levels[300] = 255
    levels[400:440] = bytes([QUIET] * 40)
    cut = cut_stretches(bytes(levels), 20_000, 10_000)[0][1]
    assert 400 < cut / LEVEL_MS < 440


def test_of_equal_places_the_latest_makes_the_fewest_stretches() -> None:
    assert cut_stretches(bytes([LOUD] * 1000), 20_000, 8_000) == [
        (0, 8_000),
        (8_000, 16_000),
        (16_000, 20_000),
    ]


def test_silence_is_never_louder_than_55_decibels_below() -> None:
    assert is_silent(b"")
    assert is_silent(bytes([111, 255]))
    assert not is_silent(bytes([255, 110, 255]))
