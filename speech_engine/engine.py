"""The Engine protocol: what `create` returns. A cloud engine runs in the server, a local one in a host."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Protocol, runtime_checkable

from speech_engine.cloning import CloneList, CloneRequest
from speech_engine.events import Event
from speech_engine.hearing import HearJob
from speech_engine.models import ModelInfo, VoiceInfo
from speech_engine.values import SpeechJob


@runtime_checkable
class Engine(Protocol):
    """A configured instance of a plugin.

    `slots` is the number of jobs at once. The server or the host keeps to this number; the engine need not.
    """

    @property
    def slots(self) -> int: ...

    def models(self) -> tuple[ModelInfo, ...]:
        """Returns the models. Called once after `create`, and again after a reload; must not block."""
        ...

    def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        """Speaks the job's segments in order: Started, then audio and words, then Finished.

        Raises the classes of `speech_engine.errors`. When the generator is closed or its task cancelled,
        no new unit of work starts, and the engine is ready for the next job within 100 ms of the current
        unit's end. It must not block the event loop. Each step may run in another task:
        hold no `asyncio.timeout` and no task group open over a `yield`.
        """
        ...


@runtime_checkable
class EngineRefreshes(Protocol):
    """A cloud engine that can read its provider's models and voices."""

    async def refresh(self) -> None:
        """Brings `models` and `voices` up to date. Called at the start and every few minutes. While the
        provider fails, the server calls more often: a success shows that the provider is back. Raises the
        classes of `speech_engine.errors`; known models and voices stay."""
        ...


@runtime_checkable
class EngineVoices(Protocol):
    """An engine that has its own voices.

    `unlisted_voices` may name voices with which it speaks, too, and which no client needs to see; None says
    that they are not all known. Without this attribute the list is whole. A voice in neither is not offered,
    and not even tried unless `tries_unknown_voices` is True: a provider may learn a voice by its use.
    """

    def voices(self) -> tuple[VoiceInfo, ...]:
        """Returns the voices; clients see them as `engine/voice`. Must not block."""
        ...


@runtime_checkable
class EngineClones(Protocol):
    """An engine that can make a voice from recordings."""

    async def clone(self, request: CloneRequest) -> str:
        """Makes a voice and returns its id, which no other voice ever gets.

        Raises UnusableSample for recordings that the user must replace, NoCloneRoom while the account has no
        room for one more, and CloneNameUsed if the provider will never make a voice of this name.

        If a provider drops voices that are not used, or takes its fee at the first use, this uses the voice
        once. After any other failure the provider may have the voice or not: the server calls `find_clone`
        before it calls this again with the same name.
        """
        ...


@runtime_checkable
class EngineFindsClones(Protocol):
    """An engine that can tell which of its clones its provider has."""

    async def find_clone(self, name: str) -> str | None:
        """Returns the id of the voice that `clone` made under this name, or None if there surely is none.

        It may use the voice once. It deletes a recording that `clone` left under this name, if the provider
        stores one separately. Raises the classes of `speech_engine.errors` if it cannot tell.
        """
        ...

    async def list_clones(self, prefix: str) -> CloneList:
        """Returns the clones whose names begin like this, as far as the provider lists them."""
        ...


@runtime_checkable
class EngineDeletesVoices(Protocol):
    """An engine that can delete its cloned voices."""

    async def delete_voice(self, id: str) -> None:
        """Deletes a voice that `clone` made. Raises VoiceNotFound if there is no such voice (any more)."""
        ...


@runtime_checkable
class EngineConverts(Protocol):
    """An engine that can repeat a recording in another voice."""

    def convert(self, job: SpeechJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        """Speaks, as `speak` does, the words in `pcm` (16-bit mono at 24 kHz); the job has no segments.
        Raises UnusableSample for a recording that the user must replace."""
        ...


@runtime_checkable
class EngineHears(Protocol):
    """An engine that writes down what is said in a recording."""

    def transcribe(self, job: HearJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        """Hears `pcm` (16-bit mono at `HEARING_HZ`): Transcript, as often as there is something new, then
        Finished. A recording without speech has no segments. `speak` describes errors, ends and steps.
        Raises UnusableSample for a recording that the user must replace."""
        ...


@runtime_checkable
class EngineReadsSounds(Protocol):
    """An engine that can tell how words sound, without speaking them."""

    async def sounds(self, texts: Sequence[str], language: str) -> Sequence[str]:
        """Returns the sounds of each text as espeak-ng writes them, without marks of another language.
        Raises UnsupportedLanguage."""
        ...
