"""The watch over a slow client, in a time that the test tells."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from proxy.http.reader_watch import ReaderWatch

STALL_S = 10.0
RATE = 100
WINDOW_S = 2 * STALL_S


class Timer:
    def __init__(self, when: float, callback: Callable[[], object]) -> None:
        self.when = when
        self.callback = callback
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class ToldTime:
    """What a watch needs of a loop: a clock and timers."""

    def __init__(self) -> None:
        self.now = 0.0
        self._timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        self._timers.append(Timer(when, callback))
        return self._timers[-1]

    def pass_(self, seconds: float) -> None:
        until = self.now + seconds
        while due := [each for each in self._timers if each.when <= until and not each.is_cancelled]:
            first = min(due, key=lambda each: each.when)
            self._timers.remove(first)
            self.now = max(self.now, first.when)
            first.callback()
        self.now = until


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
        self.time = ToldTime()
        self.reader = Reader()
        self.watch = ReaderWatch(cast(asyncio.AbstractEventLoop, self.time), self.reader)
        self.watch.start_watch()

    @property
    def is_on(self) -> bool:
        return self.watch.is_on

    def read(self, seconds: float, bytes_per_s: float) -> bool:
        """Let the client read at a rate for so long. Return whether it was cut off."""
        for _ in range(round(seconds)):
            self.time.pass_(1.0)
            self.reader.taken += round(bytes_per_s)
        return self.reader.is_cut_off


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_a_client_that_takes_nothing_is_cut_off_after_the_longest_pause(watched: Watched) -> None:
    watched.time.pass_(STALL_S - 0.1)
    assert not watched.reader.is_cut_off
    watched.time.pass_(0.2)
    assert watched.reader.is_cut_off


@pytest.mark.parametrize(("rate", "is_cut_off"), [(1, True), (RATE * 0.9, True), (RATE * 1.2, False)])
def test_a_client_that_trickles_is_judged_by_its_rate(
    watched: Watched, rate: float, is_cut_off: bool
) -> None:
    assert not watched.read(WINDOW_S - 1, rate)
    assert watched.read(WINDOW_S + 2, rate) is is_cut_off


def test_each_window_is_judged_by_what_was_taken_in_it(watched: Watched) -> None:
    assert not watched.read(WINDOW_S - 1, 100 * RATE)
    # What it took before is no merit of this window.
    assert watched.read(WINDOW_S + STALL_S, 1)


def test_time_in_which_nothing_waits_does_not_count(watched: Watched) -> None:
    watched.read(5, 1)
    watched.watch.end()
    watched.time.pass_(1_000.0)
    watched.watch.start_watch()
    assert not watched.read(8, 1)


def test_the_time_of_several_waits_is_added_up(watched: Watched) -> None:
    for _ in range(4):
        watched.read(4, 1)
        watched.watch.end()
        watched.watch.start_watch()
        assert not watched.reader.is_cut_off
    watched.read(5, 1)
    watched.watch.end()
    assert watched.reader.is_cut_off


def test_a_client_that_has_taken_all_is_watched_no_longer(watched: Watched) -> None:
    watched.reader.unsent = 0
    watched.time.pass_(STALL_S)
    assert not watched.is_on
    watched.time.pass_(1_000.0)
    assert not watched.reader.is_cut_off


def test_after_a_forgotten_wait_the_next_begins_anew(watched: Watched) -> None:
    watched.read(5, 1)
    watched.watch.forget()
    watched.watch.start_watch()
    watched.time.pass_(STALL_S - 0.1)
    assert not watched.reader.is_cut_off
    watched.time.pass_(0.2)
    assert watched.reader.is_cut_off
