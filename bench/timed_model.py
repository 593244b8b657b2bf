"""A model for simulations: its steps take as long as on a device, on a clock that the simulation moves on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from speech_engine.host.batch_model import RowSpec, RowStep

RATE_HZ = 24_000
CODE_SAMPLES = 1_024
CODE_S = CODE_SAMPLES / RATE_HZ
STEP_FLOOR_S, STEP_ROW_S, JOIN_S, SOUND_S = 0.015, 0.0005, 0.008, 0.001
LEAST_CODES, PIECE_CODES = 8, 20
CHARACTER_S = 0.07


class Row:
    def __init__(self, spec: RowSpec[None]) -> None:
        self.codes_wanted = max(1, round(len(spec.spoken) * CHARACTER_S / CODE_S))
        self.codes = self.given = 0


class TimedModel:
    """A model whose work takes time on a clock that the simulation moves on."""

    rate_hz = RATE_HZ

    def __init__(self) -> None:
        self.took_s = 0.0

    def now(self) -> float:
        return asyncio.get_running_loop().time() + self.took_s

    def join(self, spec: RowSpec[None]) -> Row:
        self.took_s += JOIN_S
        return Row(spec)

    def step(self, rows: Sequence[Row]) -> list[RowStep]:
        self.took_s += STEP_FLOOR_S + STEP_ROW_S * len(rows)
        for row in rows:
            row.codes += 1
        return [RowStep(row.codes - row.given >= LEAST_CODES, row.codes >= row.codes_wanted) for row in rows]

    def sound(self, row: Row, is_last: bool) -> bytes:
        self.took_s += SOUND_S
        codes, row.given = row.codes - row.given, row.codes
        return bytes(2 * CODE_SAMPLES * codes)

    def leave(self, row: Row) -> None:
        pass


def capacity(width: int) -> float:
    """The seconds of sound a second that the model makes with steps of so many rows."""
    per_code_s = (STEP_FLOOR_S / width + STEP_ROW_S) + SOUND_S / PIECE_CODES + JOIN_S * CODE_S / 3.0
    return CODE_S / per_code_s
