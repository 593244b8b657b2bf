"""The rows of a batch, turn by turn on a clock of the test: who joins, who steps, who hears how much."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from speech_engine.host.batch_loop import BatchLoop
from speech_engine.host.batch_model import BatchSettings, OutOfMemory
from speech_engine.host.batch_rows import UNREAD_BYTES, BatchJob, RowTable
from speech_engine.host.batch_steps import RECOVERY_STEPS
from speech_engine.host.continuity import listener_of
from tests.speech_engine.host.batches import Batch, Host, hear, job
from tests.speech_engine.host.toy_model import STEP_S, ToyModel, ToyRow


class CountedModel(ToyModel):
    """Each step takes `takes_s` on its clock. It counts the pieces of sound."""

    def __init__(self, takes_s: float = 0.0) -> None:
        super().__init__(self._pass_time)
        self.now = 0.0
        self.takes_s = takes_s
        self.pieces = 0

    def _pass_time(self, _rows: Sequence[ToyRow]) -> None:
        self.now += self.takes_s

    def sound(self, row: ToyRow, is_last: bool) -> bytes:
        self.pieces += 1
        return super().sound(row, is_last)


@asynccontextmanager
async def looped(model: CountedModel, host: Host | None = None, **settings: Any) -> AsyncIterator[Batch]:
    """A batch whose turns the test takes itself. In the end it has spoken everything."""
    read = msgspec.convert(settings, BatchSettings)
    loop: Batch = BatchLoop(model, read, (host or Host()).context, STEP_S, lambda: model.now)
    try:
        yield loop
    finally:
        model.room = 10**9
        await run_turns(loop)


async def run_turns(loop: Batch, most: int = 10**6) -> None:
    """Take turns until there is nothing to do."""
    await asyncio.sleep(0)
    while most and loop.is_working:
        loop.turn()
        most -= 1
        await asyncio.sleep(0)


def speech(id_: str, *texts: str, requested_at: float = 0.0, **more: Any) -> BatchJob[str, ToyRow]:
    order = job(id_, *texts, **more)
    listener = listener_of(order, BatchSettings(), requested_at)
    return BatchJob(order, "anyone", listener, asyncio.get_running_loop(), 24_000)


def join(table: RowTable[str, ToyRow], most: int = 100) -> list[str]:
    """Let rows join, and return the jobs whose they are."""
    joined: list[str] = []
    while len(joined) < most and (row := table.next_row("slack")) is not None:
        table.note_joined(row, ToyRow(row.spec))
        joined.append(row.spec.job.id)
    return joined


async def test_the_segment_that_is_heard_next_never_waits_for_those_after_it() -> None:
    reading = speech("reading", "first", "second")
    reading.add_sound(1, bytes(UNREAD_BYTES + 2))
    assert reading.is_full
    assert (reading.may_step(0), reading.may_step(1)) == (True, False)
    reading.add_sound(0, b"ab")
    reading.ended_segments[0] = True
    assert reading.take_sound() == (0, b"ab")
    reading.ended_segments[0] = True
    assert reading.take_sound() == (1, bytes(UNREAD_BYTES + 2))
    assert reading.may_step(1)


async def test_a_segment_that_was_made_ahead_is_as_full_as_any_when_its_turn_comes() -> None:
    reading = speech("reading", "first", "second")
    for _ in range(3):
        reading.add_sound(1, bytes(UNREAD_BYTES))
    reading.ended_segments[0] = True
    assert reading.take_sound() == (1, bytes(UNREAD_BYTES))
    assert not reading.may_step(1)


async def test_a_job_without_a_seed_has_one_of_its_own() -> None:
    seeds = {speech("same", "text", seed=None).spec().seed for _ in range(3)}
    assert len(seeds) == 3
    assert len({speech("same", "text", seed=4).spec().seed for _ in range(3)}) == 1


async def test_the_first_fault_of_a_job_is_the_one_that_is_told() -> None:
    failing = speech("failing", "a", "b")
    failing.fail(ValueError("first"))
    failing.fail(ValueError("second"))
    assert str(failing.error) == "first"


async def test_some_rows_are_kept_for_new_listeners_and_one_for_idle_work() -> None:
    table: RowTable[str, ToyRow] = RowTable(8)
    table.add(speech("long", *"abcdefghijkl"))
    assert join(table) == ["long"] * 6
    for number in range(4):
        table.add(speech(f"new {number}", "x"))
    table.add(speech("idle", *"abcdefghijkl", urgency="idle"))
    assert join(table) == ["new 0", "idle"]


async def test_the_only_row_is_no_place_for_idle_work_while_somebody_listens() -> None:
    table: RowTable[str, ToyRow] = RowTable(1)
    table.add(speech("idle", "x", urgency="idle"))
    table.add(speech("live", "x"))
    assert join(table) == ["live"]


async def test_work_that_nobody_waits_for_joins_after_all_others() -> None:
    table: RowTable[str, ToyRow] = RowTable(8)
    table.add(speech("idle", "x", urgency="idle"))
    table.add(speech("live", "x", requested_at=60.0))
    assert join(table, 2) == ["live", "idle"]


async def test_each_segment_is_as_long_as_its_part_of_the_text() -> None:
    order = msgspec.structs.replace(job("j", "x" * 10, "x" * 30), estimated_s=8.0)
    listener = listener_of(order, BatchSettings(), 0.0)
    assert listener.left_s == 8.0
    listener.note_over(0, [True, False])
    assert listener.left_s == 6.0


async def test_what_is_heard_already_goes_on_where_a_new_listener_has_to_wait() -> None:
    model = CountedModel(takes_s=2 * STEP_S)  # not even one listener hears it without a gap
    async with looped(model) as loop:
        heard = asyncio.create_task(hear(loop, job("heard", "x" * 300, follows_s=3.0)))
        await run_turns(loop, most=50)
        assert loop.fits_in_s(job("new", "x" * 300)) > 0.0
        assert loop.fits_in_s(job("heard", "x" * 300, urgency="ahead")) == 0.0
        assert loop.fits_in_s(job("begun elsewhere", "x" * 300, urgency="ahead")) > 0.0
        assert loop.fits_in_s(job("later", "x" * 300, urgency="idle")) == 0.0
        await run_turns(loop)
        assert await heard


async def test_who_was_let_in_and_has_not_come_yet_counts() -> None:
    model = CountedModel(takes_s=2 * STEP_S)
    async with looped(model) as loop:
        heard = asyncio.create_task(hear(loop, job("heard", "x" * 50)))
        await run_turns(loop)
        assert await heard
        assert loop.fits_in_s(job("new", "x" * 300)) == 0.0
        assert loop.fits_in_s(job("new", "x" * 300), (job("let in", "x" * 300),)) > 0.0


async def test_a_width_that_was_halved_grows_again() -> None:
    model = CountedModel()
    async with looped(model, width=2) as loop:
        tasks = [asyncio.create_task(hear(loop, job(id_, "x" * (RECOVERY_STEPS + 20)))) for id_ in "ab"]
        await run_turns(loop, most=5)
        model.room = 1
        await run_turns(loop, most=1)
        assert loop.figures()["step_width_limit"] == 1
        model.room = 2
        await run_turns(loop, most=RECOVERY_STEPS)
        assert loop.figures()["step_width_limit"] == 2
        await run_turns(loop)
        assert all(await asyncio.gather(*tasks))


async def test_a_step_that_lacks_memory_for_half_of_its_rows_too_is_no_fault_of_a_row() -> None:
    model = CountedModel()
    async with looped(model, joins_per_step=2) as loop:
        tasks = [asyncio.create_task(hear(loop, job(id_, "x" * 20))) for id_ in "ab"]
        await run_turns(loop, most=1)
        model.room = 0
        with pytest.raises(OutOfMemory):
            loop.turn()
        model.room = 2
        await run_turns(loop)
        assert all(await asyncio.gather(*tasks))


class PricedByRow(CountedModel):
    """Each row of a step takes two milliseconds."""

    def _pass_time(self, rows: Sequence[ToyRow]) -> None:
        self.now += 0.002 * len(rows)


async def test_what_a_step_takes_is_learned_for_its_rows() -> None:
    async with looped(PricedByRow(), joins_per_step=2) as loop:
        tasks = [
            asyncio.create_task(hear(loop, job(id_, "x" * length))) for id_, length in (("a", 60), ("b", 30))
        ]
        await run_turns(loop)
        assert all(await asyncio.gather(*tasks))
        assert [loop._times.seconds(rows) for rows in (1, 2)] == pytest.approx([0.002, 0.004])


async def test_every_step_is_a_sign_of_life() -> None:
    model, host = CountedModel(), Host()
    async with looped(model, host) as loop:
        heard = asyncio.create_task(hear(loop, job("j", "x" * 40)))
        await run_turns(loop)
        assert await heard
        assert host.ticks >= model.steps == 40


async def test_a_listener_that_runs_dry_twice_is_one_dry_listener() -> None:
    model = CountedModel()
    async with looped(model) as loop:
        heard = asyncio.create_task(hear(loop, job("j", "x" * 200)))
        for _ in range(4):
            await run_turns(loop, most=20)
            model.now += 60.0
        await run_turns(loop)
        assert await heard
        assert loop.figures()["dry_listeners"] == 1


@pytest.mark.parametrize(("seconds", "most"), [(4, 45), (8, 50)])
async def test_who_has_enough_to_hear_gets_long_pieces(seconds: int, most: int) -> None:
    model = CountedModel()
    async with looped(model) as loop:
        heard = asyncio.create_task(hear(loop, job("j", "x" * round(seconds / STEP_S))))
        await run_turns(loop)
        assert await heard
        # A second in small pieces, which is what its listener needs; then the rest.
        assert model.pieces <= most


@pytest.mark.parametrize("how", ["dropped", "failed"])
async def test_a_job_that_is_over_gets_no_further_row(how: str) -> None:
    table: RowTable[str, ToyRow] = RowTable(8)
    ending = speech("ending", "first", "second")
    table.add(ending)
    assert join(table, 1) == ["ending"]
    (row,) = table.live
    if how == "failed":
        table.note_failed(row, ValueError())
    else:
        ending.is_dropped = True
        assert table.take_dropped() == [row]
    assert not join(table)
    table.forget_ended()
    assert not table.has_work
    assert not table.speeches
