"""Recordings cut into windows: what each one has, and that together they are the whole."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_engine.host.windows import SoundWindow, WindowCutter, WindowSizes

SIZES = WindowSizes(first=(30, 60), usual=150, context=20, grid=10, last=(90,))


def recording(samples: int) -> "array[int]":
    return array("h", ((each * 7_919) % 30_011 for each in range(samples)))


def cut(pcm: bytes, pieces: list[int], sizes: WindowSizes = SIZES) -> list[SoundWindow]:
    """Cut a recording that comes in pieces of these lengths, and then the rest."""
    cutter = WindowCutter(sizes)
    found, at = [], 0
    for size in pieces:
        found += cutter.feed(pcm[at : at + size])
        at += size
    return found + cutter.feed(pcm[at:]) + cutter.finish()


def mirrored(samples: "array[int]", at: int) -> int:
    """Return a sample; outside of the recording, that of its image in its ends."""
    last = len(samples) - 1
    while last and not 0 <= at <= last:
        at = -at if at < 0 else 2 * last - at
    return samples[at if last else 0]


@given(st.integers(0, 1_500), st.lists(st.integers(1, 700), max_size=8))
def test_windows_are_the_whole_recording_in_order_with_what_is_beside_each(
    count: int, pieces: list[int]
) -> None:
    samples = recording(count)
    windows = cut(samples.tobytes(), pieces)
    assert windows == cut(samples.tobytes(), [])
    assert [window.number for window in windows] == list(range(len(windows)))
    assert [window.is_last for window in windows] == [False] * (len(windows) - 1) + [True] * bool(windows)
    assert [window.start for window in windows] + [count] == [0] + [window.end for window in windows]
    for window in windows:
        heard = array("h", window.pcm)
        assert len(heard) in SIZES.lengths
        assert window.begin <= window.start - SIZES.context
        assert window.begin + len(heard) >= window.end + SIZES.context
        assert not window.begin % SIZES.grid
        assert list(heard) == [mirrored(samples, window.begin + each) for each in range(len(heard))]


def test_the_first_windows_are_short_and_the_end_makes_none_that_is_very_short() -> None:
    lengths = {
        count: [each.end - each.start for each in cut(recording(count).tobytes(), [])]
        for count in (*(30, 90, 240, 400, 401),)
    }
    print(lengths)
    assert lengths[240] == [30, 60, 150]
    assert lengths[401][-2:] == [80, 81]
    assert min(lengths[400][2:]) > SIZES.usual / 3


def test_a_last_window_is_no_longer_than_it_must_be() -> None:
    lengths = {count: len(cut(recording(count).tobytes(), [])[-1].pcm) // 2 for count in (60, 100, 180, 181)}
    assert lengths == {60: 70, 100: 130, 180: 130, 181: 190}


def test_a_window_is_there_as_soon_as_its_context_is() -> None:
    cutter, pcm = WindowCutter(SIZES), recording(200).tobytes()
    needed = 2 * (SIZES.first[0] + SIZES.context)
    assert cutter.feed(pcm[: needed - 1]) == []
    assert [window.number for window in cutter.feed(pcm[needed - 1 : needed])] == [0]


@pytest.mark.parametrize("seconds", [10, 100])
def test_a_long_recording_takes_no_more_memory_than_a_short_one(seconds: int) -> None:
    cutter, piece = WindowCutter(SIZES), recording(100).tobytes()
    for _ in range(10 * seconds):
        cutter.feed(piece)
        assert len(cutter._rest) <= 2 * SIZES.lengths[-1] + 100
    assert cutter.samples == 1_000 * seconds


@given(st.integers(0, 2_000))
def test_what_is_expected_is_as_long_as_what_comes(count: int) -> None:
    windows = cut(recording(count).tobytes(), [])
    assert abs(len(SIZES.expected(count)) - len(windows)) <= 1
    assert bool(SIZES.expected(count)) == bool(windows)


def test_a_window_shows_where_it_is_and_no_sound() -> None:
    (window,) = cut(recording(20).tobytes(), [])
    assert repr(window) == "<SoundWindow 0 from 0 to 20>"
    cutter = WindowCutter(SIZES)
    cutter.feed(recording(60).tobytes())
    assert repr(cutter) == "<WindowCutter after 1 windows, at sample 30>"
