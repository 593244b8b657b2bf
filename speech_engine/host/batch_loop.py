"""Speaks many jobs at once with one model: the model thread, its rows, and their sound.

Each segment of a job is a row. Rows join and leave between any two steps, and each sounds as it would alone.
A fault of one row ends that job; a fault of the device ends the host.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from functools import partial
from types import TracebackType
from typing import Generic, Self, TypeVar, cast

from speech_engine.errors import EngineBusy, EngineUnavailable, UnusableSample
from speech_engine.events import Audio, Event, Finished, Started
from speech_engine.host.batch_model import BatchModel, BatchSettings, OutOfMemory, R, RowWork, V, WeighsRows
from speech_engine.host.batch_rows import BatchJob, BatchRow, ModelCalls, RowTable, ordinary
from speech_engine.host.batch_steps import BatchFigures, StepWidth, WarmUp
from speech_engine.host.continuity import Listener, SoundPieces, StepOrder, listener_of, weight_of
from speech_engine.host.conversion import Conversion, ConversionJob, cut_windows
from speech_engine.host.engine_stream import places_of
from speech_engine.host.no_gap import AdmittedAnswers, waits_s
from speech_engine.host.step_times import StepTimes
from speech_engine.host.windows import WindowCutter
from speech_engine.pcm import PcmPieces
from speech_engine.plugin import Context
from speech_engine.values import SpeechJob

T = TypeVar("T")


class BatchLoop(Generic[V, R]):
    """The loop of one model. A step makes `step_s` seconds of each row's sound; if the model weighs its rows,
    about so much for a weight of 1.0."""

    predicts_waits = True

    def __init__(
        self,
        model: BatchModel[V, R],
        settings: BatchSettings,
        context: Context,
        step_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._model = model
        self._weighs = model if isinstance(model, WeighsRows) else None
        self._settings = settings
        self._context = context
        self._step_s = step_s
        self._clock = clock
        self._times = StepTimes(step_s)
        self._order = StepOrder(settings.order, self._times)
        self._pieces = SoundPieces(step_s)
        self._figures = BatchFigures()
        # Guards the table, the calls and the answers, and wakes the model thread.
        self._changed = threading.Condition()
        self._table: RowTable[V, R] = RowTable(settings.rows)
        self._calls = ModelCalls()
        self._answers = AdmittedAnswers()
        self._group: list[BatchRow[V, R]] = []
        # Without weights, a step can be no wider than the rows in memory.
        widest = settings.width if self._weighs else min(settings.width, settings.rows)
        self._width = StepWidth(widest, context.log)
        self._turn_s = 0.0
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)

    def __repr__(self) -> str:
        return f"<BatchLoop {self._table!r}>"

    @property
    def is_working(self) -> bool:
        """Whether there is anything to do. Sound without a reader is no work."""
        with self._changed:
            return bool(self._calls) or self._table.has_work

    async def __aenter__(self) -> Self:
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        await asyncio.to_thread(self._thread.join)

    async def call(self, work: Callable[[], T]) -> T:
        """Run `work` on the model thread, between two steps. Its exceptions pass through."""
        return await self._call(work)

    async def warm_up(self, make_rows: Callable[[int], Sequence[R]]) -> None:
        """Learn what steps take, before the first listener comes. `make_rows` runs on the model thread, and
        gives so many rows of any text: of so much weight together, if the model weighs them."""
        warm_up = WarmUp(self._model, self._width, self._times, self._pieces)
        run = partial(warm_up.run, clock=self._clock, tick=self._context.tick)
        await self._call(lambda: run(make_rows(int(self._width.weight))), is_counted=False)

    async def _call(self, work: Callable[[], T], *, is_counted: bool = True) -> T:
        with self._changed:
            self._raise_if_over()
            result = self._calls.add(work, is_counted=is_counted)
            self._changed.notify()
        return cast(T, await asyncio.wrap_future(result))

    async def speak(self, job: SpeechJob, voice: V) -> AsyncGenerator[Event, None]:
        """Speak a job with a voice, as `Engine.speak` does. At its end, the model has none of its rows."""
        listener = self._listener(job, voice, self._clock())
        loop = asyncio.get_running_loop()
        speech: BatchJob[V, R] = BatchJob(job, voice, listener, loop, self._model.rate_hz)
        async with aclosing(self._answer(speech, lambda segment, pcm: (segment, pcm))) as events:
            async for event in events:
                yield event

    async def convert(
        self, job: SpeechJob, conversion: Conversion[V], pcm: AsyncIterator[bytes]
    ) -> AsyncGenerator[Event, None]:
        """Convert a recording, as `EngineConverts.convert` does, with a model that weighs its rows.

        The first sound comes after the first window. At its end, the model has none of its rows, and the
        recording is read no further.
        """
        listener = self._listener(job, conversion.voice, self._clock())
        speech: ConversionJob[V, R] = ConversionJob(job, conversion, listener, asyncio.get_running_loop())

        def joined(number: int, made: bytes) -> tuple[int, bytes]:
            return 0, conversion.join(speech.windows[number], made)

        feeding: asyncio.Task[None] | None = None
        try:
            async with aclosing(self._answer(speech, joined)) as events:
                async for event in events:
                    if feeding is None:  # the input is read only after the job was admitted
                        feeding = asyncio.create_task(self._feed(speech, conversion, pcm))
                    yield event
        finally:
            if feeding is not None:
                feeding.cancel()
                await asyncio.wait([feeding])

    async def _feed(
        self, speech: ConversionJob[V, R], conversion: Conversion[V], pcm: AsyncIterator[bytes]
    ) -> None:
        """Bring the windows of a recording to the model, while its listener hears what was made."""
        try:
            async with aclosing(cut_windows(pcm, WindowCutter(conversion.sizes))) as windows:
                async for window in windows:
                    await speech.has_room.wait()
                    prepared = await asyncio.to_thread(conversion.prepare, window)
                    with self._changed:
                        speech.add(window, prepared)
                        self._changed.notify()
            if not speech.windows:
                raise UnusableSample("The recording is empty.")
        except Exception as error:  # noqa: BLE001 - the seam around a plugin: raised again to the listener
            with self._changed:
                speech.fail(ordinary(error))
                self._changed.notify()
        else:
            with self._changed:
                speech.add_end()
                self._table.forget_ended()

    async def _answer(
        self, speech: BatchJob[V, R], on_sound: Callable[[int, bytes], tuple[int, bytes]]
    ) -> AsyncGenerator[Event, None]:
        """Yield the sound of a job's rows. `on_sound` gets a row's number and its PCM, and returns a segment
        and the PCM to send. At the end, the model has none of the rows."""
        job = speech.job
        with self._changed:
            self._raise_if_over()
            self._table.add(speech)
            self._answers.note(job, self._clock())
            self._changed.notify()
        try:
            yield Started(speech.rate_hz)
            most = job.max_samples
            if most is not None:
                most = most * speech.rate_hz // self._model.rate_hz
            pieces = PcmPieces(speech.rate_hz, most)
            while not pieces.is_full and (sound := await self._next_sound(speech)) is not None:
                segment, pcm = on_sound(*sound)
                for piece in pieces.feed(pcm):
                    yield Audio(segment, piece)
            yield Finished()
        finally:
            with self._changed:
                speech.is_dropped = True
                self._changed.notify()
            # The slot of this job is free when its rows are.
            await speech.rows_gone.wait()

    def fits_in_s(self, job: SpeechJob, admitted: tuple[SpeechJob, ...] = ()) -> float:
        """Return 0 if this job fits without a gap for any listener, else the seconds until it will. The
        `admitted` jobs have a slot already, and have not come here yet."""
        with self._changed:
            if self._settings.order == "fifo" or self._answers.goes_on(job):
                return 0.0
            present = [(speech.job.id, speech.listener) for speech in self._table.speeches]
            width = self._width.weight
        now = self._clock()
        coming = [(each.id, self._listener(each, None, now)) for each in admitted]
        newcomer = self._listener(job, None, now)
        return waits_s(newcomer, [*present, *coming], self._settings, self._times, width, now)

    def goes_on(self, job: SpeechJob) -> bool:
        """Tell whether a job is a further part of an answer that was let in here, with all that follows."""
        with self._changed:
            return self._answers.goes_on(job)

    def figures(self) -> dict[str, float]:
        with self._changed:
            return self._figures.values(self._table.live, self._width)

    def _listener(self, job: SpeechJob, voice: V | None, now: float) -> Listener:
        works = self._weighs.expected(job, voice) if self._weighs else None
        return listener_of(job, self._settings, now, works)

    async def _next_sound(self, speech: BatchJob[V, R]) -> tuple[int, bytes] | None:
        while True:
            with self._changed:
                was_full, segment_before = speech.is_full, speech.read_segment
                sound = speech.take_sound()
                # Either may let a row go on that had to pause.
                if (sound is not None and was_full) or speech.read_segment != segment_before:
                    self._changed.notify()
                if sound is None and speech.is_over:
                    if speech.error is not None:
                        raise speech.error
                    return None
                speech.changed.clear()
            if sound is not None:
                return sound
            await speech.changed.wait()

    def _raise_if_over(self) -> None:
        if self._is_closed:
            raise EngineUnavailable("The engine's model has stopped.", retry_after_s=1.0)

    def _run(self) -> None:
        """Work until the loop is closed. If a fault ends this thread before, all waiting calls fail."""
        try:
            while self._wait_for_work():
                self.turn()
        except BaseException as error:  # noqa: BLE001 - the seam around a plugin: the host ends, and says why
            self._context.log.warning("batch.step.failed", error=type(error).__name__, where=places_of(error))
            # In a host this does not return. Jobs that learned of the end before would not run again.
            self._context.give_up(f"the model failed: {type(error).__name__}")
        finally:
            self._end_all()

    def _wait_for_work(self) -> bool:
        with self._changed:
            while not (self._is_closed or self._calls or self._table.has_work):
                self._changed.wait()
            return not self._is_closed

    def _end_all(self) -> None:
        reason = EngineUnavailable("The engine's model has stopped.", retry_after_s=1.0)
        with self._changed:
            self._is_closed = True
            self._calls.refuse_all(reason)
            for speech in self._table.clear():
                speech.fail(reason)

    def turn(self) -> None:
        """Answer a call, drop and join rows, and take one step. Only the model thread calls it."""
        began = self._clock()
        self._answer_call()
        self._leave_dropped()
        self._join_rows()
        with self._changed:
            ready, width = self._table.ready, self._width.weight
        self._group = self._order.choose(ready, self._group, width, self._clock())
        if not self._group:
            return
        step_s = self._step()
        self._turn_s = self._clock() - began
        sound_s = sum(_row_work(row).sound_of_step_s(self._step_s) for row in self._group)
        self._figures.note_step(weight_of(self._group), step_s, self._turn_s, sound_s)
        # A row that has left may have a voice that is to be forgotten.
        self._group = [row for row in self._group if row.is_joined]
        self._context.tick()

    def _answer_call(self) -> None:
        now = self._clock()
        with self._changed:
            call = self._calls.next_due(self._slack_s(now), now) if self._calls else None
        if call is not None:
            self._times.beside.note_call(self._calls.run(call, self._clock))
            self._context.tick()

    def _slack_s(self, now: float) -> float:
        """Return for how long no listener will run dry without a step; infinity if none is playing sound."""
        rows = [
            row for row in self._table.ready if row.listener.is_played_as_it_comes and row.listener.has_played
        ]
        width = self._width.weight
        due = (min(row.listener.due_at(), self._order.begins_by(row, width)) for row in rows)
        return min(due, default=float("inf")) - now

    def _leave_dropped(self) -> None:
        with self._changed:
            dropped = self._table.take_dropped()
        for row in dropped:
            self._model.leave(row.handle)
        with self._changed:
            self._table.forget_ended()

    def _join_rows(self) -> None:
        for _ in range(self._settings.joins_per_step):
            with self._changed:
                row = self._table.next_row(self._settings.order)
            if row is None:
                return
            began = self._clock()
            self._join(row)
            self._times.beside.note_join(self._clock() - began, _row_work(row).worth_s(self._step_s))

    def _join(self, row: BatchRow[V, R]) -> None:
        try:
            handle = self._model.join(row.spec)
        except OutOfMemory:
            self._fail(row, EngineBusy("The engine has no memory for one more text.", retry_after_s=1.0))
        except BaseException as error:  # noqa: BLE001 - the seam around a plugin: it ends this job alone
            self._fail(row, error)
        else:
            with self._changed:
                if self._weighs:
                    row.listener.note_work(row.segment, self._weighs.work(handle))
                self._table.note_joined(row, handle)

    def _step(self) -> float:
        """Take a step with the group, and take its sound. Return the time of the step alone."""
        weights = [_row_work(row).weight for row in self._group]
        try:
            handles = [row.handle for row in self._group]
            states, seconds = self._width.step(self._model, handles, weights, self._clock)
        except OutOfMemory:
            if len(self._group) > 1:
                raise
            self._fail(self._group.pop(), EngineBusy("The engine has no memory for this text."))
            return 0.0
        # If memory lacked, only the first of them took part.
        self._group = self._group[: len(states)]
        weight = weight_of(self._group)
        self._times.learn(len(self._group), seconds, weight)
        turn_s = max(self._turn_s, self._times.turn_s(weight))
        for row, state in zip(self._group, states, strict=True):
            row.unheard_s += self._step_s
            row.listener.note_step(row.segment)
            wants = state.has_sound and self._pieces.wants(row, turn_s, self._clock())
            if state.is_over or wants:
                self._take_sound(row, is_over=state.is_over)
        return seconds

    def _take_sound(self, row: BatchRow[V, R], *, is_over: bool) -> None:
        began = self._clock()
        try:
            pcm = self._model.sound(row.handle, is_over)
        except BaseException as error:  # noqa: BLE001 - the seam around a plugin: it ends this job alone
            self._fail(row, error)
            return
        seconds = len(pcm) / 2 / row.speech.rate_hz
        work = _row_work(row)
        made_s = work.worth_s(self._step_s) if work.steps else seconds
        self._times.beside.note_sound(self._clock() - began, made_s)
        if is_over:
            self._model.leave(row.handle)
        else:
            self._pieces.note(row, seconds)
        with self._changed:
            was_dry = row.listener.dry_s > 0.0
            self._table.note_sound(row, pcm, seconds, self._clock(), is_over=is_over)
            self._figures.dry_listeners += row.listener.dry_s > 0.0 and not was_dry

    def _fail(self, row: BatchRow[V, R], error: BaseException) -> None:
        """End the job of a row. Its other rows leave before the next step."""
        if row.is_joined:
            self._model.leave(row.handle)
        with self._changed:
            self._table.note_failed(row, ordinary(error))


def _row_work(row: BatchRow[V, R]) -> RowWork:
    return row.listener.work(row.segment)
