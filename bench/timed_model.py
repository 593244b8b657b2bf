"""A model for simulations: its steps take as long as on a device, on a clock that the simulation moves on.

Nobody has measured the steps of a full-size model on a card yet (`python -m bench.gpu xtts` does). So the
times are chosen: a step of one row takes 15.5 ms, three times as fast as it is heard, and one of 16 takes 23.
What a code is, and when codes become sound, is XTTS's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from plugins.xtts.model_format import (
    CODE_SAMPLES,
    CONTEXT_FRAMES,
    FIRST_CODES,
    HOP,
    NEXT_CODES,
    RATE_HZ,
    SAMPLE_HZ,
    UNSETTLED_FRAMES,
)
from speech_engine import Segment, SpeechJob
from speech_engine.host.batch_model import RowSpec, RowStep

CODE_S = CODE_SAMPLES / SAMPLE_HZ
"""A code is of the rate of the recordings that XTTS has learned from; its sound has another one."""

WIDTH = 16
STEP_FLOOR_S, STEP_ROW_S, JOIN_S, SOUND_S = 0.015, 0.0005, 0.008, 0.001
HELD_BACK_SAMPLES = (CONTEXT_FRAMES + UNSETTLED_FRAMES) * HOP
"""The last frames of what there is can only be made when those after them are there."""
CHARACTER_S = 0.07
_LONG_PIECE_CODES = 20


_WARM_UP_CHARACTERS = 60


class Row:
    def __init__(self, characters: int) -> None:
        self.codes_wanted = max(1, round(characters * CHARACTER_S / CODE_S))
        self.codes = self.given = self.samples = 0

    @property
    def has_sound(self) -> bool:
        return self.codes - self.given >= (NEXT_CODES if self.given else FIRST_CODES)


def spoken(lengths_s: Sequence[float]) -> tuple[Segment, ...]:
    characters = [max(1, round(each / CHARACTER_S)) for each in lengths_s]
    return tuple(Segment("x" * each, 0, each) for each in characters)


class Clocked:
    """A clock that work moves on by `took_s`, until the simulation has slept for as long."""

    def __init__(self) -> None:
        self.took_s = 0.0

    def now(self) -> float:
        return asyncio.get_running_loop().time() + self.took_s


class TimedModel(Clocked):
    """A model whose work takes time on a clock that the simulation moves on."""

    rate_hz = RATE_HZ
    step_s = CODE_S

    def __init__(self, floor_s: float | None = None, row_s: float | None = None) -> None:
        super().__init__()
        self._floor_s = STEP_FLOOR_S if floor_s is None else floor_s
        self._row_s = STEP_ROW_S if row_s is None else row_s

    def segments(self, length_s: float) -> tuple[Segment, ...]:
        """Cut an answer into sentences of four seconds at most."""
        count = -(-int(length_s * 10) // 40)
        return spoken([length_s / count] * count)

    def voice_of(self, job: SpeechJob) -> None:
        return None

    def join(self, spec: RowSpec[None]) -> Row:
        self.took_s += JOIN_S
        return Row(len(spec.spoken))

    def warm_up_rows(self, count: int) -> list[Row]:
        return [Row(_WARM_UP_CHARACTERS) for _ in range(count)]

    def step(self, rows: Sequence[Row]) -> list[RowStep]:
        self.took_s += self._floor_s + self._row_s * len(rows)
        for row in rows:
            row.codes += 1
        return [RowStep(row.has_sound, row.codes >= row.codes_wanted) for row in rows]

    def sound(self, row: Row, is_last: bool) -> bytes:
        self.took_s += SOUND_S
        row.given, before = row.codes, row.samples
        row.samples = _samples(row.codes) - (0 if is_last else HELD_BACK_SAMPLES)
        return bytes(2 * max(0, row.samples - before))

    def leave(self, row: Row) -> None:
        pass


def _samples(codes: int) -> int:
    return round(codes * CODE_S * RATE_HZ)


def capacity(width: int) -> float:
    """The seconds of sound a second that the model makes at best, with steps of so many rows."""
    per_code_s = (STEP_FLOOR_S / width + STEP_ROW_S) + SOUND_S / _LONG_PIECE_CODES + JOIN_S * CODE_S / 3.0
    return CODE_S / per_code_s
