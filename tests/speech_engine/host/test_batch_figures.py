"""What an operator sees of a batch, alone and over several processes."""

import asyncio

import pytest

from bench.timed_model import TimedModel
from speech_engine.host.batch_steps import StepWidth, WarmUp
from speech_engine.host.continuity import SoundPieces
from speech_engine.host.figure_sums import add_figures
from speech_engine.host.step_times import StepTimes
from tests.speech_engine.host.batches import StepGate, batch, hear, job
from tests.speech_engine.host.fakes import FakeLog
from tests.speech_engine.host.toy_model import ToyModel
from tests.tables import each_row
from tests.waiting import soon


async def test_a_batch_counts_its_rows_by_urgency_and_its_steps() -> None:
    gate = StepGate()
    model = ToyModel(gate)
    async with batch(model, width=4) as loop:
        tasks = [
            asyncio.create_task(hear(loop, job("live", "x" * 20, "y" * 20))),
            asyncio.create_task(hear(loop, job("idle", "x" * 20, urgency="idle"))),
        ]
        await soon(lambda: len(model.present) >= 1)
        gate.allow(2)
        await soon(lambda: len(model.present) == 3)
        during = loop.figures()
        gate.open()
        await asyncio.gather(*tasks)
        after = loop.figures()
    assert (during["rows_live"], during["rows_idle"], during["rows_whole"]) == (2, 1, 0)
    assert (after["rows_live"], after["rows_idle"]) == (0, 0)
    assert after["steps"] == model.steps
    assert 1.0 <= after["step_width"] <= 3.0
    assert after["step_width_limit"] == 4
    assert after["realtime_factor"] > 0.0


def test_processes_add_up_what_counts_and_share_a_mean_of_the_rest() -> None:
    one = {"steps": 10.0, "step_width": 4.0, "realtime_factor": 3.0}
    two = {"steps": 20.0, "step_width": 8.0, "realtime_factor": 5.0}
    assert add_figures([one, two]) == pytest.approx({"steps": 30, "step_width": 6, "realtime_factor": 8})
    assert add_figures([]) == {}


@each_row(("step_s", "taken", "measured"), [(0.1, 20, 16), (40.0, 3, 1), (400.0, 2, 1)])
def test_a_slow_device_is_warmed_up_with_few_steps(step_s: float, taken: int, measured: int) -> None:
    model = TimedModel(floor_s=step_s, row_s=0.0)
    times = StepTimes(model.step_s)
    warm_up = WarmUp(model, StepWidth(4, FakeLog()), times, SoundPieces(model.step_s))
    warm_up.run(model.warm_up_rows(4), clock=lambda: model.took_s, tick=lambda: None)
    assert (model.took_s // step_s, times.steps) == (taken, measured)
