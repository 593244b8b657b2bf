"""What an engine at a runner speaks: its result, once it is whole, as the events of a stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection

import structlog

from proxy.engines.remote_engine import RemoteEngine
from proxy.features.runners.runs import Runs
from proxy.features.runners.work import piece_name, piece_of
from proxy.kept.vault import Vault
from speech_engine import Event, ModelInfo, Speak, SpeechJob
from speech_engine.host.engine_stream import EngineAnswer, EngineStream, OnDispatch
from speech_engine.host.messages import Failed, HelloReply
from speech_engine.host.remote_frames import FarIntroduction

_log = structlog.get_logger()

Note = Callable[[HelloReply], None]


class RemoteSpeech:
    """The way of speech to a runner, as the engine uses it. `note` is told what the far end has."""

    def __init__(self, engine: RemoteEngine, runs: Runs, vault: Vault, note: Note) -> None:
        self._engine = engine
        self._runs = runs
        self._vault = vault
        self._note = note

    def __repr__(self) -> str:
        return f"<RemoteSpeech by {self._runs!r}>"

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
        for frame in await self._runs.frames(piece, on_dispatch):
            if isinstance(frame, FarIntroduction):
                self._note(frame.hello)
            elif isinstance(frame, Failed):
                raise frame.to_error()
            else:
                yield frame


class _Speaker:
    """One piece of work as an engine of its own, for the seam that all engines' streams have."""

    slots = 1

    def __init__(self, speech: RemoteSpeech, on_dispatch: OnDispatch) -> None:
        self._speech = speech
        self._on_dispatch = on_dispatch

    def models(self) -> tuple[ModelInfo, ...]:
        return ()

    def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        return self._speech.events(job, self._on_dispatch)
