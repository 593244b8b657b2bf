"""The watch over a slow client, in simulated time."""

import asyncio

import pytest

from proxy.http.reader_watch import ReaderWatch
from tests.speech_engine.host.simulated_time import simulated

STALL_S = 10.0
RATE = 100
WINDOW_S = 2 * STALL_S


class Reader:
    stall_s = STALL_S
    least_bytes_per_s: float = RATE

    def __init__(self) -> None:
        self.taken = 0
        self.unsent = 1
        self.is_cut_off = False

    def count_unsent(self) -> int:
        return self.unsent

    def count_taken(self) -> int:
        return self.taken

    def cut_off(self) -> None:
        self.is_cut_off = True


class Watched:
    def __init__(self) -> None:
        self.reader = Reader()
        self.watch = ReaderWatch(self.reader)
        self.watch.start_watch()

    @property
    def is_on(self) -> bool:
        return self.watch.is_on

    async def read(self, seconds: float, bytes_per_s: float) -> bool:
        """Let the client read at a rate for so long. Return whether it was cut off."""
        for _ in range(round(seconds)):
            await asyncio.sleep(1.0)
            self.reader.taken += round(bytes_per_s)
        return self.reader.is_cut_off


@simulated
async def test_a_client_that_takes_nothing_is_cut_off_after_the_longest_pause() -> None:
    watched = Watched()
    await asyncio.sleep(STALL_S - 0.1)
    assert not watched.reader.is_cut_off
    await asyncio.sleep(0.2)
    assert watched.reader.is_cut_off


@pytest.mark.parametrize(("rate", "is_cut_off"), [(1, True), (RATE * 0.9, True), (RATE * 1.2, False)])
@simulated
async def test_a_client_that_trickles_is_judged_by_its_rate(rate: float, is_cut_off: bool) -> None:
    watched = Watched()
    assert not await watched.read(WINDOW_S - 1, rate)
    assert await watched.read(WINDOW_S + 2, rate) is is_cut_off


@simulated
async def test_each_window_is_judged_by_what_was_taken_in_it() -> None:
    watched = Watched()
    assert not await watched.read(WINDOW_S - 1, 100 * RATE)
    # What it took before is no merit of this window.
    assert await watched.read(WINDOW_S + STALL_S, 1)


@simulated
async def test_time_in_which_nothing_waits_does_not_count() -> None:
    watched = Watched()
    await watched.read(5, 1)
    watched.watch.end_watch()
    await asyncio.sleep(1_000.0)
    watched.watch.start_watch()
    assert not await watched.read(8, 1)


@simulated
async def test_the_time_of_several_waits_is_added_up() -> None:
    watched = Watched()
    for _ in range(4):
        await watched.read(4, 1)
        watched.watch.end_watch()
        watched.watch.start_watch()
        assert not watched.reader.is_cut_off
    await watched.read(5, 1)
    watched.watch.end_watch()
    assert watched.reader.is_cut_off


@simulated
async def test_a_client_that_has_taken_all_is_watched_no_longer() -> None:
    watched = Watched()
    watched.reader.unsent = 0
    await asyncio.sleep(STALL_S)
    assert not watched.is_on
    await asyncio.sleep(1_000.0)
    assert not watched.reader.is_cut_off


@simulated
async def test_after_a_forgotten_wait_the_next_begins_anew() -> None:
    watched = Watched()
    await watched.read(5, 1)
    watched.watch.end_uncounted()
    watched.watch.start_watch()
    await asyncio.sleep(STALL_S - 0.1)
    assert not watched.reader.is_cut_off
    await asyncio.sleep(0.2)
    assert watched.reader.is_cut_off
