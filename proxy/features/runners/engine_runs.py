"""What an engine at a runner does: it speaks, as the events of a stream once all is there, and it trains."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection

import structlog

from proxy.engines.remote_engine import FarTraining, RemoteEngine
from proxy.features.runners.runs import Runs
from proxy.features.runners.work import WorkPiece, piece_name, piece_of, training_piece
from proxy.kept.vault import Vault
from speech_engine import EngineFailed, Event, ModelInfo, Speak, SpeechJob
from speech_engine.host.engine_stream import EngineAnswer, EngineStream, OnDispatch, ignore_dispatch
from speech_engine.host.messages import Failed, HelloReply
from speech_engine.host.remote_frames import FarIntroduction
from speech_engine.training import TrainingDone, TrainingEnd, TrainingFailed, TrainingStopped

_log = structlog.get_logger()

Note = Callable[[HelloReply], None]


class RemoteEngineRuns:
    """The way to a runner, as the engine uses it. `note` is told what the far end has."""

    def __init__(self, engine: RemoteEngine, runs: Runs, vault: Vault, note: Note) -> None:
        self._engine = engine
        self._runs = runs
        self._vault = vault
        self._note = note

    def __repr__(self) -> str:
        return f"<RemoteEngineRuns by {self._runs!r}>"

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
        """Yield the events of a result. If this is closed before it is there, the work goes on: who asks for
        the same piece gets it."""
        piece = await piece_of(self._engine.name, job, self._engine.samples.shelf, self._vault)
        for frame in await self._frames(piece, on_dispatch):
            if isinstance(frame, (TrainingDone, TrainingStopped, TrainingFailed)):
                raise EngineFailed("The far end has trained in place of speaking.")
            yield frame

    async def train(self, asked: FarTraining) -> TrainingEnd:
        piece = await training_piece(self._engine.name, asked, self._vault)
        frames = await self._frames(piece, ignore_dispatch)
        end = frames[-1] if frames else None
        if isinstance(end, (TrainingStopped, TrainingFailed)):
            # Whoever asks again wants more.
            await self._runs.pass_over(piece)
        elif not isinstance(end, TrainingDone):
            await self._runs.pass_over(piece)
            raise EngineFailed("The far end does not say how a training has ended.")
        return end

    async def _frames(self, piece: WorkPiece, on_dispatch: OnDispatch) -> list[Event | TrainingEnd]:
        frames: list[Event | TrainingEnd] = []
        for frame in await self._runs.frames(piece, on_dispatch):
            if isinstance(frame, FarIntroduction):
                self._note(frame.hello)
            elif isinstance(frame, Failed):
                raise frame.to_error()
            else:
                frames.append(frame)
        return frames


class _Speaker:
    """One piece of work as an engine of its own, for the seam that all engines' streams have."""

    slots = 1

    def __init__(self, speech: RemoteEngineRuns, on_dispatch: OnDispatch) -> None:
        self._speech = speech
        self._on_dispatch = on_dispatch

    def models(self) -> tuple[ModelInfo, ...]:
        return ()

    def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        return self._speech.events(job, self._on_dispatch)
