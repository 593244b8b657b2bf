"""Rows that are heard as a whole after all of their steps, and that weigh more or less."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import pytest

from bench.continuity import WHOLE, play
from bench.timed_segments import STEPS, WIDTH, Row, SegmentsModel, step_takes_s
from speech_engine import Context, SpeechJob
from speech_engine.host.batch_loop import BatchLoop
from speech_engine.host.batch_model import BatchSettings, OutOfMemory, RowSpec, RowStep, RowWork
from speech_engine.host.continuity import Listener, StepOrder
from speech_engine.host.no_gap import Capacity, WholePiece, demand_of, fits_in_s
from speech_engine.host.step_times import StepTimes
from tests.speech_engine.host import simulated_time
from tests.speech_engine.host.batches import job
from tests.speech_engine.host.fakes import FakeLog

pytestmark = pytest.mark.slow

TURN_S = 0.03
"""What a full step takes."""


class Waiting(NamedTuple):
    listener: Listener
    segment: int = 0


def listener(*works: RowWork, requested_at: float = 0.0, follows_s: float = 0.0) -> Listener:
    return Listener("live", requested_at, 0.3, works, follows_s=follows_s)


def times(floor_s: float = TURN_S, weight_s: float = 0.0) -> StepTimes:
    """Of a model whose step makes a second's sound of a weight of 16."""
    measured = StepTimes(1 / 16)
    for step in range(50):
        weight = 10.0 * (1 + step % 3)
        measured.learn(1 + step % 2, floor_s + weight_s * weight, weight)
    return measured


def test_a_step_takes_as_long_as_its_weight_says_with_any_number_of_rows() -> None:
    learned = times(0.02, 0.001)
    assert [learned.seconds(weight) for weight in (5.0, 60.0)] == pytest.approx([0.025, 0.08])


def test_who_needs_more_steps_begins_earlier_though_it_plays_later() -> None:
    short, long = listener(RowWork(2.0, 10.0, 7)), listener(RowWork(2.0, 10.0, 32), requested_at=0.5)
    order = StepOrder("slack", times())
    assert order.choose([Waiting(short), Waiting(long)], [], 10.0, now=0.0) == [Waiting(long)]
    for _ in range(30):
        long.note_step(0)
    assert order.choose([Waiting(long), Waiting(short)], [], 10.0, now=0.0) == [Waiting(short)]


def test_a_step_is_as_heavy_as_it_may_be_and_a_heavier_row_has_one_of_its_own() -> None:
    rows = [
        Waiting(listener(RowWork(5.0, weight, 16), requested_at=number / 100))
        for number, weight in enumerate((70.0, 30.0, 40.0, 20.0, 10.0))
    ]
    order = StepOrder("slack", times())
    assert order.choose(rows, [], 64.0, now=0.0) == rows[:1]
    # What is too heavy for the rest of a step leaves it to those after it.
    assert order.choose(rows[1:], [], 64.0, now=0.0) == [rows[1], rows[3], rows[4]]


def test_a_segment_is_due_whole_so_long_before_it_plays_as_its_steps_take() -> None:
    talk = listener(*[RowWork(4.0, 10.0, 16)] * 2, follows_s=4.0)
    talk.note_step(0)
    demand = demand_of(talk, 0.0, Capacity(times(), 64.0, 8, has_idle=False))
    assert demand is not None
    from_s, left_s = zip(*demand.pieces, strict=True)
    # Nobody can have the first one before its fifteen steps are over.
    assert from_s == pytest.approx([0.3, 4.3 - 16 * TURN_S, 8.3 - 16 * TURN_S])
    assert left_s == pytest.approx([15 * 10 / 16, 10.0, 10.0])
    assert (demand.weight, demand.rate) == (20.0, 2.5)


def test_a_row_without_sound_holds_nobody_up() -> None:
    """A plugin may state it. The parts after a job are assumed to be like its last row with sound."""
    capacity = Capacity(times(), 64.0, 8, has_idle=False)
    for works in ([RowWork(0.0, 10.0, 16)], [RowWork(4.0, 0.0, 16)]):
        assert demand_of(listener(*works, follows_s=600.0), 0.0, capacity) is None
    newcomer = demand_of(listener(RowWork(4.0, 10.0, 16)), 0.0, capacity)
    assert newcomer is not None
    waits = []
    for silent in ([], [RowWork(0.0, 10.0, 16)]):
        talk = demand_of(listener(RowWork(4.0, 10.0, 16), *silent, follows_s=600.0), 0.0, capacity)
        assert talk is not None
        waits.append(fits_in_s(newcomer, [talk], capacity))
    assert waits[1] <= waits[0] + 1.0


def test_what_was_made_meanwhile_is_wanted_no_more() -> None:
    demand = demand_of(
        listener(*[RowWork(4.0, 10.0, 16)] * 2), 0.0, Capacity(times(), 64.0, 8, has_idle=False)
    )
    assert demand is not None
    after = demand.remaining(1.0, 14.0)
    assert after is not None
    assert after.pieces == (WholePiece(demand.pieces[1].from_s - 1.0, 6.0),)
    assert demand.remaining(1.0, 20.0) is None


def test_one_more_long_segment_waits_until_those_that_play_before_it_are_made() -> None:
    capacity = Capacity(times(), 20.0, 64, has_idle=False)
    heavy = [listener(RowWork(9.0, 20.0, 16)) for _ in range(2)]
    demands = [each for each in (demand_of(one, 0.0, capacity) for one in heavy) if each]
    assert fits_in_s(demands[0], [], capacity) == 0.0
    assert fits_in_s(demands[0], demands[1:], capacity) > 0.2


class Mixed(SegmentsModel):
    """Takes as many steps as the seed of a text says. It has memory for so much weight."""

    room = 1e9

    def __init__(self) -> None:
        super().__init__()
        self.groups: list[float] = []

    def expected(self, job: SpeechJob, voice: float | None) -> Sequence[RowWork]:
        return [RowWork(2.0, 4.0, STEPS) for _ in job.segments]

    def join(self, spec: RowSpec[float]) -> Row:
        return Row(spec.voice, 2.0, int(spec.spoken))

    def step(self, rows: Sequence[Row]) -> list[RowStep]:
        if sum(row.work.weight for row in rows) > self.room:
            raise OutOfMemory
        self.groups.append(sum(row.work.weight for row in rows))
        return super().step(rows)


def test_each_step_that_a_row_took_is_one_that_it_needs_no_more() -> None:
    async def run() -> None:
        model = Mixed()
        loop: BatchLoop[float, Row] = BatchLoop(
            model, BatchSettings(width=64, rows=8), Context(FakeLog()), model.step_s, model.now
        )
        speaking = asyncio.create_task(_heard(loop, job("job", "16"), 8.0))
        await asyncio.sleep(0)
        for _ in range(5):
            loop.turn()
        (row,) = loop._table.live
        # What its model told at first was a guess.
        assert row.listener.work(0) == RowWork(2.0, 10.0, 16)
        assert row.listener.steps_left(0) == 11
        speaking.cancel()
        await asyncio.sleep(0)
        loop.turn()
        await asyncio.gather(speaking, return_exceptions=True)

    simulated_time.run(run())


async def _heard(loop: BatchLoop[float, Row], text: SpeechJob, voice: float) -> None:
    async for _ in loop.speak(text, voice):
        pass


async def spoken(model: Mixed, settings: BatchSettings, *texts: tuple[str, float]) -> float:
    """Speak texts with voices, all at once, and return the weight that a step may have in the end."""
    loop: BatchLoop[float, Row] = BatchLoop(model, settings, Context(FakeLog()), model.step_s, model.now)

    tasks = [
        asyncio.create_task(_heard(loop, job(f"job {number}", text), voice))
        for number, (text, voice) in enumerate(texts)
    ]
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
        loop.turn()
    return loop.figures()["step_width_limit"]


def test_many_at_once_take_hardly_more_steps_than_the_longest_alone() -> None:
    model = Mixed()
    texts = [(steps, 2.0 + number / 10) for number, steps in enumerate(["7", "16", "32"] * 5)]
    settings = BatchSettings(width=80, rows=32, joins_per_step=16)

    async def run() -> None:
        await spoken(model, settings, *texts)

    simulated_time.run(run())
    assert 32 <= len(model.groups) <= 1.2 * 32
    assert max(model.groups) > 60.0


def test_a_step_that_lacks_memory_goes_on_with_half_of_its_weight() -> None:
    async def run() -> None:
        model = Mixed()
        model.room = 20.0
        # Of 10, 6, 4 and 12, the first has half of the weight but for a little.
        texts = [("16", 8.0), ("16", 4.0), ("16", 2.0), ("16", 10.0)]
        settings = BatchSettings(width=64, rows=8, joins_per_step=16)
        assert await spoken(model, settings, *texts) == 16.0
        assert max(model.groups) <= 16.0

    simulated_time.run(run())


def test_segments_that_come_as_a_whole_are_heard_without_a_gap() -> None:
    """A first sound comes within its steps, each as long as a full one, and a fifth."""
    ours = play("slack", 0.9, 200, WHOLE)
    print(ours)
    assert ours.smooth >= 0.99
    assert ours.served >= 0.95
    assert ours.fairness >= 0.97
    assert ours.first_audio_p95_s <= 1.2 * STEPS * step_takes_s([WIDTH / 4] * 4)
