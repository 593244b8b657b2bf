"""A batched model of numpy without weights to load: whole numbers, so that a batch is exact to the last bit.

A row remembers a vector. A step mixes the vectors of all rows with one product, draws from each row's own
generator, and gives a code. Eight codes make the first sound, every four more the next.
"""

import random
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from speech_engine.host.batch_model import OutOfMemory, RowSpec, RowStep

RATE_HZ = 24_000
CODE_SAMPLES = 240
STEP_S = CODE_SAMPLES / RATE_HZ
FIRST_CODES, NEXT_CODES = 8, 4
_DIM = 8
_MODULUS = 65_521
_WEIGHTS = np.array(
    [[(7 * row + 3 * column + 1) ** 3 % _MODULUS for column in range(_DIM)] for row in range(_DIM)],
    dtype=np.int64,
)


class ToyFault(Exception):
    """What a text makes the model raise."""


class ToyRow:
    def __init__(self, spec: RowSpec[str]) -> None:
        said = f"{spec.voice}/{spec.spoken}".encode()
        self.spec = spec
        self.codes_wanted = max(1, len(spec.spoken))
        self.memory = np.array([(each * 31 + sum(said)) % _MODULUS for each in range(_DIM)], dtype=np.int64)
        self.draw = random.Random(spec.seed)
        self.codes: list[int] = []
        self.given = 0

    def __repr__(self) -> str:
        return f"<ToyRow {self.spec.job.id}/{self.spec.segment}, {len(self.codes)} codes>"


class ToyModel:
    """`before_step` gets the rows of each step before it is taken. `joined` and `left` have the names of rows
    with the number of steps at that moment. A text may begin with a fault: `join!`, `step!` or `sound!`."""

    rate_hz = RATE_HZ

    def __init__(self, before_step: Callable[[Sequence[ToyRow]], None] = lambda _rows: None) -> None:
        self.before_step = before_step
        self.room = 10**9
        self.steps = 0
        self.widths: list[int] = []
        self.joined: dict[str, int] = {}
        self.left: dict[str, int] = {}
        self.present: set[ToyRow] = set()

    def join(self, spec: RowSpec[str]) -> ToyRow:
        if spec.spoken.startswith("join!"):
            raise ToyFault("join")
        row = ToyRow(spec)
        self.present.add(row)
        self.joined[_name(row)] = self.steps
        return row

    def step(self, rows: Sequence[ToyRow]) -> list[RowStep]:
        assert rows
        assert self.present.issuperset(rows)
        self.before_step(rows)
        if len(rows) > self.room:
            raise OutOfMemory
        if any(row.spec.spoken.startswith("step!") for row in rows):
            raise ToyFault("step")
        self.steps += 1
        self.widths.append(len(rows))
        memories: NDArray[np.int64] = np.stack([row.memory for row in rows])
        mixed = (memories @ _WEIGHTS) % _MODULUS
        for row, memory in zip(rows, mixed, strict=True):
            code = (int(memory[0]) + row.draw.randrange(_MODULUS)) % _MODULUS
            row.codes.append(code)
            row.memory = (memory + code) % _MODULUS
        return [self._state(row) for row in rows]

    def sound(self, row: ToyRow, is_last: bool) -> bytes:
        if row.spec.spoken.startswith("sound!"):
            raise ToyFault("sound")
        new = row.codes[row.given :]
        row.given = len(row.codes)
        return np.repeat(np.array(new, dtype=np.int64) - 32_768, CODE_SAMPLES).astype("<i2").tobytes()

    def leave(self, row: ToyRow) -> None:
        self.present.remove(row)
        self.left[_name(row)] = self.steps

    def _state(self, row: ToyRow) -> RowStep:
        unheard = len(row.codes) - row.given
        is_over = len(row.codes) >= row.codes_wanted
        return RowStep(unheard >= (NEXT_CODES if row.given else FIRST_CODES), is_over)


def _name(row: ToyRow) -> str:
    return f"{row.spec.job.id}/{row.spec.segment}"
