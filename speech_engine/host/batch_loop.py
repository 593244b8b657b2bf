"""Speaks many jobs at once with one model: the model thread, the rows in it, and what they make.

Each segment of a job is a row. Rows join and leave between any two steps, and each sounds as it would alone.
A fault of one row ends that job; a fault of the device ends the host.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from speech_engine.errors import EngineBusy, EngineUnavailable
from speech_engine.events import Audio, Event, Finished, Started
from speech_engine.host.batch_figures import BatchFigures
from speech_engine.host.batch_model import BatchModel, OutOfMemory, R, RowStep, V
from speech_engine.host.batch_rows import BatchJob, BatchRow, RowTable
from speech_engine.host.batch_settings import BatchSettings, listener_of
from speech_engine.host.continuity import StepOrder, wants_sound
from speech_engine.host.engine_stream import places_of
from speech_engine.host.no_gap import Capacity, demand_of, fits_in_s
from speech_engine.host.step_times import StepTimes
from speech_engine.pcm import PcmPieces
from speech_engine.plugin import Context
from speech_engine.values import SpeechJob

RECOVERY_STEPS = 500
"""The number of good steps after which a width that was halved for lack of memory grows by one row."""

T = TypeVar("T")


class BatchLoop(Generic[V, R]):
    """The loop of one model. A step makes `step_s` seconds of each row's sound."""

    def __init__(
        self,
        model: BatchModel[V, R],
        settings: BatchSettings,
        context: Context,
        step_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._model = model
        self._settings = settings
        self._context = context
        self._step_s = step_s
        self._clock = clock
        self._times = StepTimes()
        self._order = StepOrder(settings.order, self._times)
        self._figures = BatchFigures()
        self._changed = threading.Condition()
        self._table: RowTable[V, R] = RowTable(settings.rows)
        self._calls: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._group: list[BatchRow[V, R]] = []
        self._width = settings.width
        self._good_steps = 0
        self._is_closed = False
        self._fault: str | None = None
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)

    def __repr__(self) -> str:
        return f"<BatchLoop {self._table!r}, width {self._width}>"

    @property
    def is_working(self) -> bool:
        """Whether there is anything to do. Sound that nobody takes is no work."""
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
        """Run `work` on the model thread, between two steps. Raises what it raises."""
        result: Future[T] = Future()
        with self._changed:
            self._raise_if_over()
            self._calls.append((work, result))
            self._changed.notify()
        return await asyncio.wrap_future(result)

    async def speak(self, job: SpeechJob, voice: V) -> AsyncGenerator[Event, None]:
        """Speak a job with a voice, as `Engine.speak` does. At its end, the model has none of its rows."""
        listener = listener_of(job, self._settings, self._clock())
        speech: BatchJob[V, R] = BatchJob(job, voice, listener, asyncio.get_running_loop())
        with self._changed:
            self._raise_if_over()
            self._table.add(speech)
            self._changed.notify()
        try:
            yield Started(self._model.rate_hz)
            pieces = PcmPieces(self._model.rate_hz, job.max_samples)
            while not pieces.is_full and (sound := await self._next_sound(speech)) is not None:
                segment, pcm = sound
                for piece in pieces.feed(pcm):
                    yield Audio(segment, piece)
            yield Finished()
        finally:
            with self._changed:
                speech.is_dropped = True
                self._changed.notify()
            # The slot of this job is free when its rows are.
            await speech.gone.wait()

    def fits_in_s(self, job: SpeechJob, admitted: tuple[SpeechJob, ...] = ()) -> float:
        """Return 0 if this job can be heard without a gap for anybody, else after how long it can.

        `admitted` have a slot already, and have not come here yet.
        """
        if self._settings.order == "fifo":
            return 0.0
        now = self._clock()
        newcomer = demand_of(listener_of(job, self._settings, self._clock()), now)
        if newcomer is None:
            return 0.0
        with self._changed:
            jobs = [(speech.job.id, speech.listener) for speech in self._table.speeches]
            jobs += [(each.id, listener_of(each, self._settings, now)) for each in admitted]
            width = self._width
        last = dict(jobs)
        if job.urgency == "ahead" or job.id in last:
            return 0.0  # whoever hears a part already was admitted with the rest
        demands = [
            demand
            for id_, each in jobs
            if (demand := demand_of(each, now, is_last=last[id_] is each)) is not None
        ]
        has_idle = any(each.is_idle for _, each in jobs)
        return fits_in_s(newcomer, demands, Capacity(self._times, width, self._step_s, has_idle))

    def figures(self) -> dict[str, float]:
        """Return the figures of this moment, by the names that `batch_figures` explains."""
        with self._changed:
            return self._figures.values(self._table.live, self._width)

    async def _next_sound(self, speech: BatchJob[V, R]) -> tuple[int, bytes] | None:
        while True:
            with self._changed:
                was_full = speech.is_full
                sound = speech.take()
                if sound is not None and was_full:
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
        if self._is_closed or self._fault is not None:
            raise EngineUnavailable("The engine's model has stopped.", retry_after_s=1.0)

    def _run(self) -> None:
        """Work until the loop is closed. If a fault ends this thread before, all who wait learn it."""
        try:
            while self._wait_for_work():
                self.turn()
        except BaseException as error:  # noqa: BLE001 - the seam around a plugin: the host ends, and says why
            self._fault = f"the model failed: {type(error).__name__}"
            self._context.log.warning("batch.step.failed", error=type(error).__name__, where=places_of(error))
        finally:
            self._end_all()
        if self._fault is not None:
            self._context.give_up(self._fault)

    def _wait_for_work(self) -> bool:
        with self._changed:
            while not (self._is_closed or self._calls or self._table.has_work):
                self._changed.wait()
            return not self._is_closed

    def _end_all(self) -> None:
        with self._changed:
            self._is_closed = True
            calls = list(self._calls)
            for speech in self._table.clear():
                speech.fail(EngineUnavailable("The engine's model has stopped.", retry_after_s=1.0))
        for _, result in calls:
            if result.set_running_or_notify_cancel():
                result.set_exception(EngineUnavailable("The engine's model has stopped."))

    def turn(self) -> None:
        """Do what was asked for, drop and join rows, and take one step. Only the model thread calls it."""
        began = self._clock()
        self._do_calls()
        self._drop()
        with self._changed:
            joining = self._table.next_rows(self._settings.joins_per_step, self._settings.order)
        for row in joining:
            self._join(row)
        with self._changed:
            ready = self._table.ready
            self._group = self._order.choose(ready, self._group, self._width, self._clock())
        if not self._group:
            return
        steps = self._step()
        for row, step in zip(self._group, steps, strict=True):
            self._hear(row, step)
        self._times.learn(len(self._group), self._clock() - began)
        self._figures.note_step(len(self._group), self._clock() - began, self._step_s)
        self._context.tick()

    def _do_calls(self) -> None:
        while self._calls:
            work, result = self._calls.popleft()
            if not result.set_running_or_notify_cancel():
                continue
            try:
                result.set_result(work())
            except BaseException as error:  # noqa: BLE001 - the seam around a plugin: raised again in the caller
                result.set_exception(error)
            self._context.tick()

    def _drop(self) -> None:
        with self._changed:
            dropped = self._table.dropped()
        for row in dropped:
            self._model.leave(row.handle)
        with self._changed:
            self._table.forget_ended()

    def _join(self, row: BatchRow[V, R]) -> None:
        try:
            handle = self._model.join(row.spec)
        except OutOfMemory:
            self._fail(row, EngineBusy("The engine has no memory for one more text.", retry_after_s=1.0))
        except Exception as error:  # noqa: BLE001 - the seam around a plugin: it ends this job alone
            self._fail(row, error)
        else:
            with self._changed:
                self._table.joined(row, handle)

    def _step(self) -> list[RowStep]:
        """Take one step with the group, or with half of it if the device lacks memory for all."""
        try:
            steps = list(self._model.step([row.handle for row in self._group]))
        except OutOfMemory:
            if len(self._group) == 1:
                self._fail(self._group[0], EngineBusy("The engine has no memory for this text."))
                self._group = []
                return []
            self._width, self._good_steps = len(self._group) // 2, 0
            self._figures.halvings += 1
            self._context.log.warning("batch.width.halved", width=self._width)
            self._group = self._group[: self._width]
            steps = list(self._model.step([row.handle for row in self._group]))
        self._good_steps += 1
        if self._width < self._settings.width and self._good_steps % RECOVERY_STEPS == 0:
            self._width += 1
        return steps

    def _hear(self, row: BatchRow[V, R], step: RowStep) -> None:
        """Take a row's new sound if it is time, and let the row leave if it is over."""
        row.unheard_s += self._step_s
        if not step.is_over and not (step.has_sound and wants_sound(row, row.unheard_s, self._clock())):
            return
        row.unheard_s = 0.0
        try:
            pcm = self._model.sound(row.handle, step.is_over)
        except Exception as error:  # noqa: BLE001 - the seam around a plugin: it ends this job alone
            self._fail(row, error)
            return
        if step.is_over:
            self._model.leave(row.handle)
        seconds = len(pcm) / 2 / self._model.rate_hz
        with self._changed:
            was_dry = row.listener.dry_s > 0.0
            self._table.heard(row, pcm, seconds, self._clock(), is_over=step.is_over)
            self._figures.dry_listeners += row.listener.dry_s > 0.0 and not was_dry

    def _fail(self, row: BatchRow[V, R], error: Exception) -> None:
        """End the job of a row. Its other rows leave before the next step."""
        if row.is_joined:
            self._model.leave(row.handle)
        with self._changed:
            self._table.failed(row, error)
