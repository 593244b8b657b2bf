"""What a batch leaves behind when a row, a step or a reader ends otherwise than it should: nothing."""

import asyncio
import gc
import weakref
from collections.abc import Sequence
from contextlib import aclosing

import pytest

from speech_engine import Audio, Context, EngineBusy, EngineFailed, EngineUnavailable, SpeechJob, Started
from speech_engine.host.batch_loop import BatchLoop
from speech_engine.host.batch_model import BatchSettings, RowSpec, RowStep
from tests.speech_engine.host.batches import Batch, Host, batch, hear, job
from tests.speech_engine.host.fakes import FakeLog
from tests.speech_engine.host.toy_model import CODE_SAMPLES, STEP_S, ToyFault, ToyModel, ToyRow
from tests.tables import each_row
from tests.waiting import soon

pytestmark = pytest.mark.slow


class Panic(BaseException):
    """What libraries raise that were written in other languages."""


class Voice(str):
    """A voice that tells whether somebody still has it."""


async def speak(loop: Batch, spoken: SpeechJob, voice: str) -> None:
    async with aclosing(loop.speak(spoken, voice)) as events:
        async for _ in events:
            pass


async def test_a_text_that_fails_to_join_leaves_none_of_its_jobs_rows() -> None:
    model = ToyModel()
    async with batch(model) as loop:
        with pytest.raises(ToyFault):
            await hear(loop, job("bad", "join! and fail", "a good second segment"))
        # Nobody else speaks, so nobody else's turn could take them out.
        await soon(lambda: not model.present)
        assert not loop.is_working


@pytest.mark.parametrize("leaves", [False, True])
async def test_a_voice_is_forgotten_with_its_job(leaves: bool) -> None:
    model = ToyModel()
    async with batch(model) as loop:
        voice = Voice("a biometric one")
        kept = weakref.ref(voice)
        async with aclosing(loop.speak(job("one", "x" * 50), voice)) as events:
            async for event in events:
                if leaves and isinstance(event, Audio):
                    break
            del event
        del voice, events

        def is_forgotten() -> bool:
            gc.collect()
            return kept() is None

        await soon(is_forgotten)


async def test_a_voice_of_a_row_that_failed_is_forgotten() -> None:
    async with batch(ToyModel()) as loop:
        voice = Voice("a biometric one")
        kept = weakref.ref(voice)
        with pytest.raises(ToyFault):
            await speak(loop, job("one", "sound! fails"), voice)
        del voice

        def is_forgotten() -> bool:
            gc.collect()
            return kept() is None

        await soon(is_forgotten)


class _PanickingModel(ToyModel):
    """A model whose library panics: a text may begin with the moment, `join?` or `sound?`."""

    def join(self, spec: RowSpec[str]) -> ToyRow:
        if spec.spoken.startswith("join?"):
            raise Panic
        return super().join(spec)

    def sound(self, row: ToyRow, is_last: bool) -> bytes:
        if row.spec.spoken.startswith("sound?"):
            raise Panic
        return super().sound(row, is_last)


@pytest.mark.parametrize("moment", ["join", "sound"])
async def test_a_row_that_panics_ends_alone(moment: str) -> None:
    model, host = _PanickingModel(), Host()
    async with batch(model, host) as loop:
        good, bad = await asyncio.gather(
            hear(loop, job("good", "x" * 50)),
            hear(loop, job("bad", f"{moment}? it panics")),
            return_exceptions=True,
        )
        assert isinstance(bad, EngineFailed)
        assert isinstance(good, bytes)
        assert len(good) == 50 * CODE_SAMPLES * 2
    assert not host.ended


@each_row("error", [Panic, SystemExit, StopIteration, asyncio.CancelledError])
async def test_work_that_panics_is_an_error_of_its_caller_alone(error: type[BaseException]) -> None:
    def panic() -> None:
        raise error

    host = Host()
    async with batch(ToyModel(), host) as loop:
        with pytest.raises(EngineFailed):
            await loop.call(panic)
        assert await hear(loop, job("later", "x"))
    assert not host.ended


async def test_jobs_do_not_learn_of_a_failed_step_before_the_host_has_ended() -> None:
    """Else the server takes it for the jobs' own failure: they do not run again, and no text is suspected."""
    asked = asyncio.get_running_loop()
    had_ended: list[bool] = []

    async def settle() -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        had_ended.append(task.done())

    def give_up(_reason: str) -> None:
        # The host's process would be gone here. Its event loop must have nothing to tell until then.
        asyncio.run_coroutine_threadsafe(settle(), asked).result()

    context = Context(FakeLog(), give_up=give_up)
    async with BatchLoop(ToyModel(), BatchSettings(), context, STEP_S) as loop:
        task = asyncio.create_task(hear(loop, job("bad", "step!")))
        with pytest.raises(EngineUnavailable):
            await task
    assert had_ended == [False]


class _SoundAtTheEnd(ToyModel):
    """Each row gives all its sound, five seconds, when it is over."""

    def step(self, rows: Sequence[ToyRow]) -> list[RowStep]:
        return [RowStep(False, step.is_over) for step in super().step(rows)]

    def sound(self, row: ToyRow, is_last: bool) -> bytes:
        return bytes(2 * 5 * self.rate_hz)


async def test_a_row_that_paused_goes_on_when_its_segment_is_the_next_to_be_read() -> None:
    """The other segments fill the room for unread sound, and the one that is read next waits for that."""
    async with batch(_SoundAtTheEnd()) as loop:
        texts = ["a" * 40, "b" * 60, *["c" * 20] * 8]
        async with aclosing(loop.speak(job("one", *texts), "anyone")) as events:
            assert isinstance(await anext(events), Started)
            await soon(lambda: not loop.is_working)
            heard = {event.segment async for event in events if isinstance(event, Audio)}
    assert heard == set(range(10))


async def test_texts_that_lack_memory_teach_nothing_about_steps() -> None:
    model, host = ToyModel(), Host()
    model.room = 0
    async with batch(model, host) as loop:
        for number in range(10):
            with pytest.raises(EngineBusy):
                await hear(loop, job(f"greedy {number}", "x"))
        assert loop.figures()["steps"] == 0
        model.room = 1
        assert await hear(loop, job("later", "x" * 50))
        assert loop.fits_in_s(job("another", "x"), (job("present", "x"),)) >= 0.0
    assert not host.ended
