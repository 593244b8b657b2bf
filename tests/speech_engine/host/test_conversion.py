"""Recordings that go through a batch in windows: their order, their faults, and what a leaver leaves."""

import asyncio
import threading
from array import array
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import msgspec
import pytest

from speech_engine import Audio, Convert, EngineVoice, Event, Finished, SpeechJob, Started
from speech_engine.errors import EngineTimeout, EngineUnavailable, UnusableSample
from speech_engine.host.batch_loop import BatchLoop
from speech_engine.host.batch_model import BatchSettings, RowSpec, RowStep, RowWork
from speech_engine.host.conversion import MOST_UNHEARD
from speech_engine.host.engine_stream import SlotStream
from speech_engine.host.slots import Slots
from speech_engine.host.windows import SoundWindow, WindowSizes
from tests.speech_engine.host import simulated_time
from tests.speech_engine.host.batches import Host
from tests.speech_engine.host.fakes import FakeLog, Studio
from tests.tables import each_row
from tests.waiting import LIMIT_S, soon

RATE_HZ = 24_000
SIZES = WindowSizes(first=(240, 480), usual=1_200, context=120, grid=10)
STEP_S = 0.01
_MODULUS = 1 << 16


class MoverFault(Exception):
    """What the model raises for a voice that is told to."""


class MoverRow:
    def __init__(self, spec: RowSpec[int]) -> None:
        self.job = spec.job.id
        self.voice = spec.voice
        self.window: bytes = spec.window

    def __repr__(self) -> str:
        return f"<MoverRow of {self.job}>"


class MoverModel:
    """Moves each sample of a window by its voice. `before_step` gets the rows of each step."""

    rate_hz = RATE_HZ

    def __init__(self, before_step: Callable[[Sequence[MoverRow]], None] = lambda _rows: None) -> None:
        self.before_step = before_step
        self.present: set[MoverRow] = set()
        self.widths: list[int] = []
        self.faulty_voice: int | None = None

    def expected(self, job: SpeechJob, voice: int | None) -> Sequence[RowWork]:
        del voice
        lengths = SIZES.expected(round(job.estimated_s * RATE_HZ))
        return [RowWork((length - 2 * SIZES.context) / RATE_HZ, length / RATE_HZ, 1) for length in lengths]

    def work(self, row: MoverRow) -> RowWork:
        seconds = len(row.window) / 2 / RATE_HZ
        return RowWork(seconds, seconds, 1)

    def join(self, spec: RowSpec[int]) -> MoverRow:
        if spec.voice == self.faulty_voice:
            raise MoverFault
        row = MoverRow(spec)
        self.present.add(row)
        return row

    def step(self, rows: Sequence[MoverRow]) -> list[RowStep]:
        assert self.present.issuperset(rows)
        self.before_step(rows)
        self.widths.append(len(rows))
        return [RowStep(False, True) for _ in rows]

    def sound(self, row: MoverRow, is_last: bool) -> bytes:
        del is_last
        return moved(row.window, row.voice)

    def leave(self, row: MoverRow) -> None:
        self.present.remove(row)


class Moving:
    """A `Conversion`: what is heard of a window is its own stretch of it."""

    sizes = SIZES
    rate_hz = RATE_HZ

    def __init__(self, voice: int, before_prepare: Callable[[SoundWindow], None] = lambda _: None) -> None:
        self.voice = voice
        self.prepared: list[int] = []
        self.threads: set[str] = set()
        self._before_prepare = before_prepare

    def prepare(self, window: SoundWindow) -> Any:
        self._before_prepare(window)
        self.threads.add(threading.current_thread().name)
        self.prepared.append(window.number)
        return window.pcm

    def work(self, window: SoundWindow) -> RowWork:
        return RowWork((window.end - window.start) / RATE_HZ, len(window.pcm) / 2 / RATE_HZ, 1)

    def join(self, window: SoundWindow, pcm: bytes) -> bytes:
        return pcm[2 * (window.start - window.begin) : 2 * (window.end - window.begin)]


class Input:
    """A recording in pieces, which stops at `stops_at` until it `goes_on`. `given` counts its bytes."""

    def __init__(self, pcm: bytes, piece: int = 301, stops_at: int | None = None) -> None:
        self.given = 0
        self.is_closed = False
        self._pcm = pcm
        self._piece = piece
        self._stops_at = stops_at
        self.goes_on: Any = None

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        try:
            for at in range(0, len(self._pcm), self._piece):
                if self._stops_at is not None and at >= self._stops_at:
                    await self.goes_on.wait()
                self.given += len(self._pcm[at : at + self._piece])
                yield self._pcm[at : at + self._piece]
        finally:
            self.is_closed = True


Movers = BatchLoop[int, MoverRow]


@asynccontextmanager
async def movers(model: MoverModel, host: Host | None = None, **settings: Any) -> AsyncIterator[Movers]:
    context = (host or Host()).context
    told = msgspec.convert({"width": 4, **settings}, BatchSettings)
    async with BatchLoop(model, told, context, STEP_S) as loop:
        yield loop


def recording(samples: int, seed: int = 1) -> bytes:
    """Samples of which no two stretches are alike."""
    return array("H", ((each * 40_503 + seed * 7_919) % _MODULUS for each in range(samples))).tobytes()


def moved(pcm: bytes, voice: int) -> bytes:
    return array("H", ((each + voice) % _MODULUS for each in array("H", pcm))).tobytes()


def job(id_: str, samples: int = 2_400, **more: Any) -> SpeechJob:
    return SpeechJob(
        id=id_,
        tenant="acc_1",
        model="mover",
        voice=EngineVoice("any"),
        segments=(),
        language="*",
        estimated_s=samples / RATE_HZ,
        **more,
    )


async def converted(loop: Movers, id_: str, voice: int, pcm: bytes, piece: int = 301, **more: Any) -> bytes:
    """Return the whole sound of a conversion."""
    asked = job(id_, len(pcm) // 2, **more)
    return await heard(loop.convert(asked, Moving(voice), Input(pcm, piece).pieces()))


async def heard(events: AsyncGenerator[Event, None]) -> bytes:
    made = []
    async with aclosing(events):
        assert await anext(events) == Started(RATE_HZ)
        async for event in events:
            if isinstance(event, Audio):
                assert event.segment == 0
                made.append(event.pcm)
            else:
                assert isinstance(event, Finished)
    return b"".join(made)


def is_free(loop: Movers, model: MoverModel) -> bool:
    return not model.present and "0 jobs, 0 of" in repr(loop)


@each_row("samples", [1, 239, 240, 361, 2_400, 12_345])
@each_row("piece", [1, 301, 100_000])
async def test_a_recording_of_any_length_comes_out_however_it_comes_in(samples: int, piece: int) -> None:
    model, pcm = MoverModel(), recording(samples)
    async with movers(model) as loop:
        assert await converted(loop, "one", 3, pcm, piece) == moved(pcm, 3)
        assert is_free(loop, model)


async def test_a_recording_that_ends_in_mid_sample_has_one_less() -> None:
    async with movers(MoverModel()) as loop:
        assert await converted(loop, "one", 3, recording(500) + b"\x01", 7) == moved(recording(500), 3)


@pytest.mark.parametrize("pcm", [b"", b"\x01"])
async def test_a_recording_without_a_sample_is_refused(pcm: bytes) -> None:
    model = MoverModel()
    async with movers(model) as loop:
        with pytest.raises(UnusableSample, match="empty"):
            await converted(loop, "one", 3, pcm)
        assert is_free(loop, model)


async def test_many_at_once_never_mix_and_share_steps() -> None:
    model = MoverModel()
    async with movers(model, width=40, joins_per_step=40) as loop:
        asked = [(number, recording(3_000 + 500 * number, number)) for number in range(12)]
        made = await asyncio.gather(
            *(converted(loop, f"job_{number}", 100 * number, pcm) for number, pcm in asked)
        )
        assert made == [moved(pcm, 100 * number) for number, pcm in asked]
        assert max(model.widths) > 1
        assert is_free(loop, model)


async def test_the_first_sound_comes_while_most_of_the_recording_is_still_to_come() -> None:
    pcm = recording(6_000)
    slow = Input(pcm, stops_at=2 * (SIZES.first[0] + SIZES.context) + 301)
    slow.goes_on = asyncio.Event()
    async with movers(MoverModel()) as loop:
        async with aclosing(loop.convert(job("slow", 6_000), Moving(5), slow.pieces())) as events:
            assert await anext(events) == Started(RATE_HZ)
            first = await anext(events)
            assert isinstance(first, Audio)
            assert slow.given < len(pcm) / 4
            slow.goes_on.set()
            rest = b"".join([event.pcm async for event in events if isinstance(event, Audio)])
    assert first.pcm + rest == moved(pcm, 5)


async def test_a_recording_that_stalls_holds_up_nobody_else_even_with_one_row() -> None:
    model, pcm = MoverModel(), recording(6_000)
    stalled = Input(pcm, stops_at=1_000)
    stalled.goes_on = asyncio.Event()
    async with movers(model, rows=1, width=1) as loop:
        waiting = asyncio.create_task(heard(loop.convert(job("stalled"), Moving(5), stalled.pieces())))
        await soon(lambda: stalled.given >= 1_000)
        for number in range(3):
            assert await converted(loop, f"job_{number}", number, pcm) == moved(pcm, number)
        assert not waiting.done()
        stalled.goes_on.set()
        assert await waiting == moved(pcm, 5)


async def test_who_leaves_leaves_no_row_and_the_recording_is_read_no_further() -> None:
    model, pcm = MoverModel(), recording(60_000)
    async with movers(model) as loop:
        left = Input(pcm)
        staying = asyncio.create_task(converted(loop, "staying", 7, pcm))
        async with aclosing(loop.convert(job("leaving", 60_000), Moving(5), left.pieces())) as events:
            while not isinstance(await anext(events), Audio):
                pass
        given = left.given
        assert given < len(pcm)
        assert await staying == moved(pcm, 7)
        assert left.given == given
        assert is_free(loop, model)


@pytest.mark.parametrize("stops_at", [0, 1_000])
async def test_who_is_cancelled_while_the_recording_stalls_leaves_nothing(stops_at: int) -> None:
    model = MoverModel()
    stalled = Input(recording(6_000), stops_at=stops_at)
    stalled.goes_on = asyncio.Event()
    async with movers(model) as loop:
        task = asyncio.create_task(heard(loop.convert(job("gone"), Moving(5), stalled.pieces())))
        await soon(lambda: stalled.given >= stops_at)
        await soon(lambda: "1 jobs, 0 of" in repr(loop))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert stalled.is_closed
        assert is_free(loop, model)


async def test_who_leaves_while_a_window_is_prepared_leaves_nothing() -> None:
    model, may_prepare = MoverModel(), threading.Event()
    begun = threading.Event()

    def held(_window: SoundWindow) -> None:
        begun.set()
        assert may_prepare.wait(20.0)

    async with movers(model) as loop:
        task = asyncio.create_task(
            heard(loop.convert(job("gone"), Moving(5, held), Input(recording(6_000)).pieces()))
        )
        await soon(begun.is_set)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert is_free(loop, model)
        may_prepare.set()


async def test_a_slow_reader_stops_what_feeds_it() -> None:
    model, pcm = MoverModel(), recording(200_000)
    fast = Input(pcm)
    conversion = Moving(5)
    async with movers(model) as loop:
        async with aclosing(loop.convert(job("slow", 200_000), conversion, fast.pieces())) as events:
            assert isinstance(await anext(events), Started)
            assert isinstance(await anext(events), Audio)
            await soon(lambda: len(conversion.prepared) >= MOST_UNHEARD and not model.present)
            for _ in range(5):
                # Others use the model meanwhile, and what waits for its reader has its windows at most.
                await converted(loop, "other", 6, recording(3_000))
            assert len(conversion.prepared) <= MOST_UNHEARD + 1
            assert fast.given < len(pcm) / 8
            # The reader goes on, and so does the recording.
            async with asyncio.timeout(LIMIT_S):
                while not isinstance(await anext(events), Finished):
                    pass


async def test_windows_are_prepared_in_order_and_never_on_the_model_thread() -> None:
    conversion = Moving(5)
    async with movers(MoverModel()) as loop:
        await heard(loop.convert(job("one"), conversion, Input(recording(20_000)).pieces()))
    assert conversion.prepared == sorted(conversion.prepared)
    assert len(conversion.prepared) > 10
    assert not conversion.threads & {"model", "MainThread"}


def at_third(window: SoundWindow) -> None:
    if window.number == 2:
        raise MoverFault


async def test_a_window_that_cannot_be_prepared_ends_its_job_alone() -> None:
    model, pcm = MoverModel(), recording(20_000)
    async with movers(model) as loop:
        staying = asyncio.create_task(converted(loop, "staying", 7, pcm))
        given = Input(pcm)
        with pytest.raises(MoverFault):
            await heard(loop.convert(job("broken"), Moving(5, at_third), given.pieces()))
        read = given.given
        assert await staying == moved(pcm, 7)
        assert given.given == read < len(pcm)
        assert is_free(loop, model)


async def test_a_row_that_cannot_join_ends_its_job_alone() -> None:
    model, pcm = MoverModel(), recording(20_000)
    model.faulty_voice = 5
    async with movers(model) as loop:
        staying = asyncio.create_task(converted(loop, "staying", 7, pcm))
        with pytest.raises(MoverFault):
            await converted(loop, "broken", 5, pcm)
        assert await staying == moved(pcm, 7)
        assert is_free(loop, model)


async def test_a_recording_that_breaks_off_ends_its_job_with_that_fault() -> None:
    model = MoverModel()

    async def broken() -> AsyncGenerator[bytes, None]:
        yield recording(2_000)
        raise UnusableSample("it broke off")

    async with movers(model) as loop:
        with pytest.raises(UnusableSample, match="broke off"):
            await heard(loop.convert(job("broken"), Moving(5), broken()))
        assert is_free(loop, model)


def break_down(_rows: Sequence[MoverRow]) -> None:
    raise MoverFault


async def test_when_the_model_breaks_all_conversions_end_and_a_new_one_is_refused_unread() -> None:
    host, model = Host(), MoverModel(break_down)
    stalled = Input(recording(6_000), stops_at=0)
    stalled.goes_on = asyncio.Event()
    async with movers(model, host) as loop:
        waiting = asyncio.create_task(heard(loop.convert(job("stalled"), Moving(5), stalled.pieces())))
        await soon(lambda: "1 jobs" in repr(loop))
        for task in (asyncio.create_task(converted(loop, "one", 3, recording(6_000))), waiting):
            with pytest.raises(EngineUnavailable):
                await task
        late = Input(recording(6_000))
        with pytest.raises(EngineUnavailable):
            await heard(loop.convert(job("late"), Moving(5), late.pieces()))
        assert late.given == 0
    assert host.ended == ["the model failed: MoverFault"]


@each_row("most", [1, 700, 2_400])
async def test_no_more_comes_out_than_the_job_may_have(most: int) -> None:
    model, pcm = MoverModel(), recording(6_000)
    async with movers(model) as loop:
        made = await converted(loop, "one", 3, pcm, max_samples=most)
        assert made == moved(pcm, 3)[: 2 * most]
        assert is_free(loop, model)


def test_a_conversion_whose_deadline_passes_in_line_is_never_read() -> None:
    async def play() -> None:
        studio, slots = Studio(), Slots(1, 4)
        first = SlotStream(studio, slots, Convert(job("first")), FakeLog(), pcm=Input(bytes(99)).pieces())
        await first.next_event()
        late = Input(recording(1_000))
        asked = Convert(job("late", deadline_s=3.0))
        with pytest.raises(EngineTimeout):
            await SlotStream(studio, slots, asked, FakeLog(), pcm=late.pieces()).next_event()
        assert late.given == 0
        await first.close()

    simulated_time.run(play())
