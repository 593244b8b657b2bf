"""A model that tells no weights: every choice of the loop stays as it was before rows had any.

The digests are of the choices that the loop made in simulated time, since its line is looked at four times a
second: which rows join, step, sound and leave in which order, how wide steps are and what the gate says. A
change of any rule changes them;
`python -m tests.speech_engine.host.test_flow_choices` prints the new ones.
"""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Any

import pytest

from bench.continuity import Room
from bench.listeners import visits
from bench.timed_model import CODE_S, Row, TimedModel
from speech_engine import SpeechJob
from speech_engine.host.batch_model import BatchSettings, OutOfMemory, RowSpec, RowStep
from tests.speech_engine.host import simulated_time
from tests.tables import each_row

pytestmark = pytest.mark.slow

DIGESTS = (
    "e27d69231219bb35",
    "c74ed66bc0498b0f",
    "e6ac9efd4fcc73fc",
    "06ea4623c67804af",
    "97cbd23d0caab03b",
    "a98f7c20795fcc79",
    "51da10b685d93381",
    "386150d58f8eaae9",
    "8a06643185575517",
    "c856e3b60164ab8f",
    "faa714d75a6a8396",
    "e7f0a96fc0496a24",
)
"""One for each seed. Each third device lacks memory now and then; each second seed has idle work."""

LISTENERS = 40


class Watched(TimedModel):
    """Notes all that is asked of it. Now and then it has memory for a few rows only."""

    def __init__(self, floor_s: float, row_s: float, lacks: random.Random | None) -> None:
        super().__init__(floor_s, row_s)
        self.choices = blake2b(digest_size=8)
        self._lacks = lacks
        self._numbers: dict[int, int] = {}
        self._rows: list[Row] = []
        self._has_lacked = False

    def note(self, *what: object) -> None:
        self.choices.update(f"{what}\n".encode())

    def join(self, spec: RowSpec[None]) -> Row:
        row = super().join(spec)
        self._rows.append(row)  # so that its id stays its own
        self._numbers[id(row)] = len(self._rows)
        self.note("join", spec.job.id, spec.segment, len(self._rows))
        return row

    def step(self, rows: Sequence[Row]) -> list[RowStep]:
        self.note("step", [self._numbers.get(id(row)) for row in rows])
        if self._lacks and not self._has_lacked and len(rows) > 1 and self._lacks.random() < 0.01:
            self._has_lacked = True
            raise OutOfMemory
        self._has_lacked = False
        return super().step(rows)

    def sound(self, row: Row, is_last: bool) -> bytes:
        self.note("sound", self._numbers.get(id(row)), is_last)
        return super().sound(row, is_last)

    def leave(self, row: Row) -> None:
        self.note("leave", self._numbers.get(id(row)))


def choices(seed: int) -> str:
    """Return a digest of all that was chosen for the listeners, the settings and the device of this seed."""
    rng = random.Random(seed)
    floor_s, row_s = rng.choice([(0.015, 0.0005), (0.02, 0.003), (0.03, 0.001), (0.005, 0.006)])
    width, rows = rng.choice([(16, 64), (8, 32), (16, 12), (5, 20)])
    settings = BatchSettings(
        slots=rng.choice([12, 48]), rows=rows, width=width, joins_per_step=rng.choice([1, 2, 4])
    )
    model = Watched(floor_s, row_s, rng if seed % 3 == 0 else None)
    wanted = rng.choice([0.5, 0.9, 1.2]) * width * CODE_S / (floor_s + row_s * width)

    async def simulate() -> None:
        room = Room(model, settings)
        ask = room.batch.fits_in_s

        def fits_in_s(job: SpeechJob, admitted: tuple[SpeechJob, ...] = ()) -> float:
            waits_s = ask(job, admitted)
            model.note("gate", job.id, len(admitted), round(waits_s, 6))
            return waits_s

        room.batch.fits_in_s = fits_in_s  # type: ignore[method-assign]  # the gate is what is watched
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(room.run_device())]
        if seed % 2:
            tasks.append(asyncio.create_task(room.run_idle()))
        heard = await asyncio.gather(*map(room.serve, visits(wanted, LISTENERS, seed)))
        for each in heard:
            model.note(
                "heard", each.is_whole_answer, round(each.first_audio_s or 0.0, 6), round(each.gap_s, 6)
            )
        model.note("width", float(room.batch.figures()["step_width_limit"]))
        for task in tasks[::-1]:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await (task if task is tasks[0] else asyncio.sleep(0))

    simulated_time.run(simulate())
    return model.choices.hexdigest()


@each_row("seed", range(len(DIGESTS)))
def test_rows_without_weights_are_chosen_as_ever(seed: int) -> None:
    assert choices(seed) == DIGESTS[seed]


if __name__ == "__main__":
    for number in range(len(DIGESTS)):
        print(f'    "{choices(number)}",')
