"""The Engine protocol: what `create` gives, in the server for a cloud engine, in a host for a local one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol, runtime_checkable

from speech_engine.cloning import CloneRequest
from speech_engine.events import Event
from speech_engine.models import ModelInfo, VoiceInfo
from speech_engine.values import SpeechJob


@runtime_checkable
class Engine(Protocol):
    """A configured instance of a plugin.

    `slots` is how many jobs may run at once; whoever runs the engine keeps to it, the engine need not.
    """

    @property
    def slots(self) -> int: ...

    def models(self) -> tuple[ModelInfo, ...]:
        """What it can speak with. Called once after `create`, and again after a reload; must not block."""
        ...

    def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        """Speaks the job's segments in order: Started, then audio and words, then Finished.

        Raises the classes of `speech_engine.errors`. When the generator is closed or its task cancelled,
        no new unit of work starts, and the engine is ready for the next job within 100 ms of the current
        unit's end. It must not block the event loop.
        """
        ...


@runtime_checkable
class EngineRefreshes(Protocol):
    """An engine of the cloud that can ask its provider what there is has this too."""

    async def refresh(self) -> None:
        """Brings `models` and `voices` up to date. Called at the start, every few minutes, and more often
        while the provider is failing: its success is what tells that somebody is there again. Raises the
        classes of `speech_engine.errors`; what was known stays known."""
        ...


@runtime_checkable
class EngineVoices(Protocol):
    """An engine that brings voices of its own along has this too."""

    def voices(self) -> tuple[VoiceInfo, ...]:
        """The voices it knows; listed to clients as `engine/voice`. Must not block."""
        ...


@runtime_checkable
class EngineClones(Protocol):
    """An engine that can make a voice of recordings has this too."""

    async def clone(self, request: CloneRequest) -> str:
        """The engine's id of a new voice. Raises UnusableSample for recordings that the user must mend.

        Never tried again by itself: after a failure in the middle the provider may have a voice that nobody
        knows of.
        """
        ...


@runtime_checkable
class EngineDeletesVoices(Protocol):
    """An engine whose cloned voices can be taken away again has this too."""

    async def delete_voice(self, id: str) -> None:
        """For voices that `clone` made. Raises VoiceNotFound where there is none such (any more)."""
        ...


@runtime_checkable
class EngineConverts(Protocol):
    """An engine that can say a recording again in another voice has this too."""

    def convert(self, job: SpeechJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        """As `speak`, of what is said in `pcm` (16-bit mono at 24 kHz); the job has no segments. Raises
        UnusableSample for a recording that the user must mend."""
        ...
