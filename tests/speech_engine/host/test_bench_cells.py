"""What `bench.gpu` counts: pauses, waits that were cut off, and speed up to the last sound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from bench.gpu_cells import LONGEST, SHORTEST, Cell, Text, draw_texts, play
from tests.speech_engine.host import simulated_time


class OneAtATime:
    """Says three pieces of a second, each after so many seconds, to one client after the other."""

    name = "one"

    def __init__(self, *waits_s: float) -> None:
        self._waits_s = waits_s
        self._lock = asyncio.Lock()
        self.speaking = 0

    @asynccontextmanager
    async def open(self, clients: int) -> AsyncIterator[None]:
        yield
        assert self.speaking == 0

    async def speak(self, text: Text, voice: int) -> AsyncGenerator[float, None]:
        async with self._lock:
            self.speaking += 1
            try:
                for wait_s in self._waits_s:
                    await asyncio.sleep(wait_s)
                    yield 1.0
            finally:
                self.speaking -= 1

    def figures(self) -> Mapping[str, float]:
        return {"step_width": 1.0}


def played(*waits_s: float, clients: int, seconds: float) -> Cell:
    cells = []

    async def simulate() -> None:
        cells.append(await play(OneAtATime(*waits_s), clients, seconds))

    simulated_time.run(simulate())
    return cells[0]


def _rounded(time: tuple[float, bool]) -> tuple[float, bool]:
    return round(time[0], 6), time[1]


def test_sound_that_comes_in_time_has_no_pause() -> None:
    cell = played(0.5, 0.5, 0.5, clients=1, seconds=6.2)
    assert (cell.finished, cell.begun) == (4, 5)
    assert cell.smooth == 1.0
    assert _rounded(cell.first_audio_p50) == (0.5, True)
    # Twelve pieces in six seconds: the rest of the cell made none.
    assert cell.speed == pytest.approx(2.0)
    assert (cell.rows, cell.step_s) == (1.0, None)


def test_sound_that_comes_late_is_a_pause_even_if_the_end_cuts_it_off() -> None:
    assert played(0.5, 1.2, 0.5, clients=1, seconds=2.1).smooth == 0.0
    assert played(0.5, 9.0, 0.5, clients=1, seconds=3.0).smooth == 0.0


def test_a_first_sound_that_never_came_counts_with_the_wait_so_far() -> None:
    cell = played(0.5, 0.5, 2.0, clients=3, seconds=4.0)
    assert _rounded(cell.first_audio_p95) == (4.0, True)
    nothing = played(9.0, clients=2, seconds=4.0)
    assert (nothing.speed, nothing.smooth) == (0.0, None)
    assert _rounded(nothing.first_audio_p50) == (4.0, True)


def test_a_side_that_fails_is_no_figure() -> None:
    class Broken(OneAtATime):
        async def speak(self, text: Text, voice: int) -> AsyncGenerator[float, None]:
            yield 1.0
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        simulated_time.run(_ended(Broken()))


async def _ended(side: OneAtATime) -> None:
    await play(side, 2, 4.0)


def test_texts_have_the_lengths_of_listeners_and_are_the_same_each_time() -> None:
    texts = draw_texts()
    assert {SHORTEST <= len(text.spoken) <= LONGEST for text in texts} == {True}
    assert max(text.seconds for text in texts) <= 14.0
    assert texts == draw_texts()
