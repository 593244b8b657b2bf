"""Many jobs in one model: each is heard as it would be alone, and no fault is another's."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speech_engine import Audio, EngineBusy, EngineUnavailable, Finished, Started
from tests.speech_engine.host.batches import Batch, Host, StepGate, batch, hear, job
from tests.speech_engine.host.toy_model import CODE_SAMPLES, ToyFault, ToyModel, ToyRow
from tests.waiting import soon

_TEXTS = ("a short one", "a text that is rather longer than the others are", "Bom dia!", "x" * 70)


class Visit(NamedTuple):
    """A job that comes after so many steps of the others, and may leave before its end."""

    texts: tuple[str, ...]
    seed: int
    voice: str
    comes_at: int
    leaves: bool


_VISITS = st.lists(
    st.builds(
        Visit,
        st.lists(st.sampled_from(_TEXTS), min_size=1, max_size=3).map(tuple),
        st.integers(0, 2**31),
        st.sampled_from(("ana", "ben")),
        st.integers(0, 30),
        st.booleans(),
    ),
    min_size=1,
    max_size=7,
)


@settings(max_examples=30, deadline=None)
@given(_VISITS, st.integers(1, 5), st.sampled_from(("slack", "fifo")))
def test_each_job_sounds_in_any_company_as_it_does_alone(visits: list[Visit], width: int, order: str) -> None:
    async def play() -> None:
        model = ToyModel()
        async with batch(model, width=width, rows=8, order=order) as loop:
            heard = await asyncio.gather(
                *(_visit(loop, model, number, visit) for number, visit in enumerate(visits))
            )
        assert not model.present
        for sound, visit in zip(heard, visits, strict=True):
            if not visit.leaves:
                assert sound == await _heard_alone(visit)

    asyncio.run(play())


async def _visit(loop: Batch, model: ToyModel, number: int, visit: Visit) -> bytes:
    for _ in range(100):  # if nobody else is there, no step comes
        if model.steps >= visit.comes_at:
            break
        await asyncio.sleep(0)
    wanted = job(f"job_{number}", *visit.texts, seed=visit.seed, voice=visit.voice)
    if not visit.leaves:
        return await hear(loop, wanted)
    async with aclosing(loop.speak(wanted, visit.voice)) as events:
        assert isinstance(await anext(events), Started)
        assert isinstance(await anext(events), Audio)
    return b""


async def _heard_alone(visit: Visit) -> bytes:
    async with batch(ToyModel()) as loop:
        return await hear(loop, job("alone", *visit.texts, seed=visit.seed, voice=visit.voice))


async def test_another_seed_or_segment_sounds_different() -> None:
    async with batch(ToyModel()) as loop:
        one = await hear(loop, job("one", "said twice", "said twice", seed=1))
        assert one != await hear(loop, job("two", "said twice", "said twice", seed=2))
    assert one[: len(one) // 2] != one[len(one) // 2 :]


async def test_a_row_joins_and_another_leaves_between_two_steps(capsys: pytest.CaptureFixture[str]) -> None:
    gate = StepGate()
    model = ToyModel(gate)
    async with batch(model) as loop:
        long = asyncio.create_task(hear(loop, job("long", "y" * 60)))
        gate.allow(10)
        await soon(lambda: model.steps == 10)
        short = asyncio.create_task(hear(loop, job("short", "x" * 20)))
        await asyncio.sleep(0)  # it is in line before the next step ends
        gate.open()
        await asyncio.gather(long, short)
    print(f"joined at step {model.joined}, left at step {model.left}, widths {model.widths}")
    assert 10 <= model.joined["short/0"] <= 11
    assert model.left["short/0"] == model.joined["short/0"] + 20
    assert model.left["long/0"] == 60
    joined, left = model.joined["short/0"], model.left["short/0"]
    assert model.widths == [1] * joined + [2] * (left - joined) + [1] * (60 - left)


async def test_jobs_at_once_take_as_many_steps_as_the_longest() -> None:
    gate = StepGate()
    model = ToyModel(gate)
    async with batch(model, slots=16, rows=24, width=16) as loop:
        tasks = [
            asyncio.create_task(hear(loop, job(f"job_{number}", "x" * (20 + 5 * number))))
            for number in range(16)
        ]
        await asyncio.sleep(0)
        gate.open()
        await asyncio.gather(*tasks)
    print(f"{model.steps} steps for 16 at once, the longest has 95")
    assert model.steps <= 1.2 * 95


async def test_twelve_segments_take_at_most_three_times_the_steps_of_one() -> None:
    model = ToyModel()
    async with batch(model) as loop:
        await hear(loop, job("one", "x" * 60))
        one = model.steps
        await hear(loop, job("twelve", *["x" * 60] * 12))
    print(f"{one} steps for a segment, {model.steps - one} for twelve")
    assert model.steps - one <= 3 * one


@pytest.mark.parametrize("moment", ["join", "sound"])
async def test_a_row_that_raises_ends_alone(moment: str) -> None:
    model = ToyModel()
    host = Host()
    async with batch(model, host) as loop:
        good, bad = await asyncio.gather(
            hear(loop, job("good", "x" * 50)),
            hear(loop, job("bad", "begins well", f"{moment}! and ends badly")),
            return_exceptions=True,
        )
        assert isinstance(bad, ToyFault)
        assert isinstance(good, bytes)
        assert len(good) == 50 * CODE_SAMPLES * 2
        # The other segments of the bad job have left, and the model goes on.
        assert await hear(loop, job("later", "x" * 5))
        assert not model.present
    assert not host.ended


async def test_a_step_that_raises_ends_the_host_and_nobody_hangs() -> None:
    model, host, gate = ToyModel(), Host(), StepGate()
    model.before_step = gate
    async with batch(model, host) as loop:
        tasks = [asyncio.create_task(hear(loop, job(f"job_{number}", "x" * 50))) for number in range(3)]
        await soon(lambda: len(model.present) >= 1)
        tasks.append(asyncio.create_task(hear(loop, job("bad", "step!"))))
        await asyncio.sleep(0)
        gate.open()
        for end in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(end, EngineUnavailable)
        with pytest.raises(EngineUnavailable):
            await hear(loop, job("late", "x"))
        with pytest.raises(EngineUnavailable):
            await loop.call(lambda: None)
    assert host.ended == ["the model failed: ToyFault"]
    assert "step!" not in str(host.log.lines)


async def test_a_step_without_memory_is_taken_again_with_half_the_rows() -> None:
    gate = StepGate()
    model, host = ToyModel(gate), Host()
    async with batch(model, host, width=16, joins_per_step=16) as loop:
        tasks = [asyncio.create_task(hear(loop, job(f"job_{number}", "x" * 50))) for number in range(13)]
        await soon(lambda: len(model.present) >= 1)
        await asyncio.sleep(0)
        gate.allow(1)
        await soon(lambda: len(model.present) == 13 and len(model.widths) == 1)
        model.room = 6
        gate.open()
        sounds = await asyncio.gather(*tasks)
        figures = loop.figures()
    assert max(model.widths[1:]) == 6
    assert {len(sound) for sound in sounds} == {50 * CODE_SAMPLES * 2}
    assert (figures["width_halvings"], figures["step_width_limit"]) == (1, 6)
    assert not host.ended


async def test_a_second_lack_of_memory_ends_the_host() -> None:
    gate = StepGate()
    model, host = ToyModel(gate), Host()
    async with batch(model, host) as loop:
        tasks = [asyncio.create_task(hear(loop, job(f"job_{number}", "x" * 50))) for number in range(2)]
        await soon(lambda: len(model.present) >= 1)
        gate.allow(1)
        await soon(lambda: len(model.present) == 2)
        model.room = 0
        gate.open()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(end, EngineUnavailable) for end in ends)
    assert host.ended == ["the model failed: OutOfMemory"]


async def test_a_row_that_lacks_memory_alone_ends_alone() -> None:
    model, host = ToyModel(), Host()
    async with batch(model, host) as loop:
        model.room = 0
        with pytest.raises(EngineBusy):
            await hear(loop, job("greedy", "x" * 50))
        model.room = 1
        assert await hear(loop, job("later", "x"))
    assert not host.ended


async def test_a_cancelled_job_leaves_before_the_next_step() -> None:
    gate = StepGate()
    model = ToyModel(gate)
    async with batch(model) as loop:
        staying = asyncio.create_task(hear(loop, job("staying", "x" * 30)))
        leaving = asyncio.create_task(hear(loop, job("leaving", "y" * 30, "z" * 30)))
        await soon(lambda: len(model.present) >= 1)
        gate.allow(5)
        await soon(lambda: model.steps == 5)
        leaving.cancel()
        await asyncio.sleep(0)
        gate.open()
        assert len(await staying) == 30 * CODE_SAMPLES * 2
        await asyncio.wait([leaving])
        assert leaving.cancelled()
        # The step that ran meanwhile ends first.
        assert model.left["leaving/0"] <= 6


async def test_sound_that_nobody_takes_stops_its_row_and_no_other() -> None:
    model = ToyModel()
    async with batch(model) as loop:
        async with aclosing(loop.speak(job("stalled", "x" * 10_000), "anyone")) as events:
            assert isinstance(await anext(events), Started)
            await soon(lambda: not loop.is_working)
            stopped_at = model.steps
            unread = stopped_at * CODE_SAMPLES * 2
            print(f"the row stopped at {unread} bytes")
            assert unread < 1.1 * 1024 * 1024
            assert await hear(loop, job("other", "x" * 20))
            # The stalled row takes no step, also not beside others.
            assert model.steps == stopped_at + 20
            samples = 0
            async for event in events:
                match event:
                    case Audio(pcm=pcm):
                        samples += len(pcm) // 2
            assert isinstance(event, Finished)
            assert samples == 10_000 * CODE_SAMPLES


async def test_no_more_is_made_than_the_job_allows() -> None:
    model = ToyModel()
    async with batch(model) as loop:
        sound = await hear(loop, job("capped", "x" * 5_000, max_samples=2_500))
        assert len(sound) == 2 * 2_500
        assert not model.present
    assert model.steps < 5_000


async def test_work_between_two_steps_gives_its_result_or_its_error() -> None:
    async with batch(ToyModel()) as loop:
        assert await loop.call(lambda: 7) == 7
        with pytest.raises(ZeroDivisionError):
            await loop.call(lambda: 1 // 0)
        assert await hear(loop, job("later", "x"))


async def test_few_rows_serve_more_listeners_than_they_are() -> None:
    model = ToyModel()
    widest = 0

    def look(_rows: Sequence[ToyRow]) -> None:
        nonlocal widest
        widest = max(widest, len(model.present))

    model.before_step = look
    async with batch(model, rows=4, width=2) as loop:
        sounds = await asyncio.gather(
            *(hear(loop, job(f"job_{number}", "x" * 30, "y" * 10)) for number in range(9))
        )
    assert {len(sound) for sound in sounds} == {40 * CODE_SAMPLES * 2}
    assert widest <= 4
    assert max(model.widths) == 2
