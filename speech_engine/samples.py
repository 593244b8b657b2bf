"""The sources of a voice for an engine that speaks: the recordings of `Samples` or a `Mix`, or the file of a
model that was trained for it (`Trained`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Protocol, TypeGuard, TypeVar

from speech_engine.errors import EngineFailed, VoiceNotFound
from speech_engine.values import EngineVoice, Mix, Sample, Samples, SpeechJob, Trained, Voice

T = TypeVar("T")


class SampleReader(Protocol):
    """The recordings that the server has brought for the jobs that run now. They are in memory alone.

    Any thread may call it. An engine must not keep these values for longer than its job.
    """

    def pcm(self, job: SpeechJob, sample: Sample) -> bytes:
        """Returns a recording as 16-bit mono at the model's `sample_hz`. Raises VoiceNotFound if it was
        deleted in the meantime."""
        ...

    def derived(self, job: SpeechJob, samples: Sequence[Sample], make: Callable[[Sequence[bytes]], T]) -> T:
        """Returns the result of `make` for these recordings, now or for an earlier job of this model: a
        speaker's embedding, for example. It is forgotten with any of the recordings. `make` runs in the
        caller's thread, and two threads may make the same at once. Raises VoiceNotFound as `pcm` does."""
        ...

    def model(self, job: SpeechJob, voice: Trained) -> bytes:
        """Returns the file of a voice that was trained. Raises VoiceNotFound if it was deleted meanwhile.

        Loading takes long, so the loaded model may outlive the job, until `on_drop` names it.
        """
        ...

    def on_drop(self, forget: Callable[[Collection[str]], Awaitable[Any] | None]) -> None:
        """Calls `forget` with the digests of deleted recordings and files, at each deletion, on the event
        loop. The jobs that use them end by themselves. Everything that was made of them must be gone once
        these jobs have ended and the awaitable that `forget` returned, if any, is done."""
        ...


class NoSamples:
    """The reader of an engine that gets no recordings."""

    def pcm(self, job: SpeechJob, sample: Sample) -> bytes:
        raise EngineFailed("Nobody brings recordings to this engine.")

    def derived(self, job: SpeechJob, samples: Sequence[Sample], make: Callable[[Sequence[bytes]], T]) -> T:
        raise EngineFailed("Nobody brings recordings to this engine.")

    def model(self, job: SpeechJob, voice: Trained) -> bytes:
        raise EngineFailed("Nobody brings trained voices to this engine.")

    def on_drop(self, forget: Callable[[Collection[str]], Awaitable[Any] | None]) -> None:
        """There are no recordings to delete."""


NO_SAMPLES = NoSamples()


def weighted_samples(voice: Voice, engine: str, most_mixed: int = 1) -> tuple[tuple[Samples, float], ...]:
    """Return the recordings of each voice in a voice, with weights that add up to 1: one, or those of a mix.

    For an engine without voices of its own, whose name is in the messages. Raises VoiceNotFound.
    """
    found = weighted_voices(voice, engine, most_mixed)
    return tuple((part, weight) for part, weight in found if isinstance(part, Samples))


def weighted_voices(
    voice: Voice, engine: str, most_mixed: int = 1, own: Collection[str] = ()
) -> tuple[tuple[Samples | EngineVoice, float], ...]:
    """Return the voices in a voice, as `weighted_samples` does, for an engine with voices of its `own`.

    However a mix names its voices, they come in one order, since a sum in another would be a little
    different. Raises VoiceNotFound.
    """
    parts = voice.parts if isinstance(voice, Mix) else ((voice, 1.0),)
    found = [(part, weight) for part, weight in parts if _is_known(part, own)]
    if not found or len(found) < len(parts):
        none = "has no voices of its own; it speaks with recordings."
        raise VoiceNotFound(f"{engine} {'does not know this voice.' if own else none}")
    if len(found) > most_mixed:
        able = f"mixes at most {most_mixed} voices" if most_mixed > 1 else "cannot mix voices"
        raise VoiceNotFound(f"{engine} {able}.")
    if not all(weight > 0 for _, weight in found):
        raise VoiceNotFound("Each voice of a mix has a weight above 0.")
    found.sort(key=lambda part: (_name_of(part[0]), part[1]))
    total = sum(weight for _, weight in found)
    return tuple((part, weight / total) for part, weight in found)


def _is_known(part: Voice, own: Collection[str]) -> TypeGuard[Samples | EngineVoice]:
    if isinstance(part, Samples):
        return bool(part.samples)
    return isinstance(part, EngineVoice) and part.id in own


def _name_of(part: Samples | EngineVoice) -> list[str]:
    return [part.id] if isinstance(part, EngineVoice) else [sample.digest for sample in part.samples]
