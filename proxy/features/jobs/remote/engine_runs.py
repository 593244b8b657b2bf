"""The operations of an engine at a runner: it speaks, as the events of a complete result, and it trains."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Iterator

import structlog

from proxy.engines.remote_engine import RemoteEngine
from proxy.features.jobs.kinds.training.remote_runs import EndedRun, TrainingWork
from proxy.features.jobs.remote.runs import Runs
from proxy.features.jobs.remote.work import piece_name, piece_of, training_piece
from proxy.file_store.vault import Vault
from speech_engine import EngineCannot, EngineFailed, Event, ModelInfo, Speak, SpeechJob
from speech_engine.host.engine_stream import EngineAnswer, EngineStream, OnDispatch
from speech_engine.host.messages import Failed, HelloReply
from speech_engine.host.remote_pieces import FarIntroduction, RemoteFrame
from speech_engine.training import TrainingDone, TrainingEnd, TrainingFailed, TrainingStopped

_log = structlog.get_logger()

NoteHello = Callable[[HelloReply], None]


class RemoteEngineRuns:
    """The connection of an engine to its runner. `note_hello` is called with the facts that the remote engine
    sends with each result."""

    def __init__(self, engine: RemoteEngine, runs: Runs, vault: Vault, note_hello: NoteHello) -> None:
        self._engine = engine
        self._runs = runs
        self._vault = vault
        self._note_hello = note_hello

    @property
    def running(self) -> int:
        return self._runs.running

    def open(self, work: Speak, on_dispatch: OnDispatch) -> EngineStream:
        return EngineAnswer(_Speaker(self, on_dispatch), work, _log)

    async def has_begun(self, step: str) -> bool:
        return await self._runs.has_begun(piece_name(step, self._engine.name))

    async def drop_samples(self, digests: Collection[str]) -> None:
        await self._runs.drop_samples(digests)

    async def events(self, job: SpeechJob, on_dispatch: OnDispatch) -> AsyncGenerator[Event, None]:
        """Yield the events of a result. If this is closed early, the run goes on, and the next request for
        the same piece gets its result."""
        piece = await piece_of(self._engine.name, job, self._engine.samples.sample_cache, self._vault)
        for frame in self._events_without_hello(await self._runs.frames(piece, on_dispatch)):
            if isinstance(frame, Failed):
                raise frame.to_error()
            if isinstance(frame, (TrainingDone, TrainingStopped, TrainingFailed)):
                raise EngineFailed("The far end has trained in place of speaking.")
            yield frame

    async def train(self, order: TrainingWork) -> EndedRun:
        piece = await training_piece(self._engine.name, order, self._vault)
        run, frames = await self._runs.run_piece(piece)
        last_frames = [*self._events_without_hello(frames)][-1:]
        match last_frames:
            case [TrainingDone() | TrainingStopped() | TrainingFailed() as training_end]:
                return EndedRun(run, training_end)
            case [Failed() as failed] if isinstance(error := failed.to_error(), EngineCannot):
                raise error
            case [Failed() as failed]:
                # Any remote failure is here a run without a result.
                raise EngineFailed(failed.to_error().message)
        await self._runs.discard_run(run)
        raise EngineFailed("The far end does not say how a training has ended.")

    async def discard_result(self, run: str) -> None:
        await self._runs.discard_run(run)

    def _events_without_hello(self, frames: Iterable[RemoteFrame]) -> Iterator[Event | Failed | TrainingEnd]:
        """Yield the frames except the introductions, which go to `note_hello`."""
        for frame in frames:
            if isinstance(frame, FarIntroduction):
                self._note_hello(frame.hello)
            else:
                yield frame


class _Speaker:
    """One piece of work as an engine of its own, for the interface of all engines' streams."""

    slots = 1

    def __init__(self, runs: RemoteEngineRuns, on_dispatch: OnDispatch) -> None:
        self._runs = runs
        self._on_dispatch = on_dispatch

    def models(self) -> tuple[ModelInfo, ...]:
        return ()

    def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        return self._runs.events(job, self._on_dispatch)
