"""The recordings of a voice, as an engine reads them while it speaks a job with `Samples`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from speech_engine.errors import EngineFailed
from speech_engine.values import Sample, SpeechJob

T = TypeVar("T")


class SampleReader(Protocol):
    """The recordings that the server has brought for the jobs that run now. They are in memory alone.

    Any thread may call it. An engine must not keep what it gets here for longer than its job.
    """

    def pcm(self, job: SpeechJob, sample: Sample) -> bytes:
        """Returns a recording as 16-bit mono at the model's `sample_hz`. Raises VoiceNotFound if it was
        deleted in the meantime."""
        ...

    def derived(self, job: SpeechJob, samples: Sequence[Sample], make: Callable[[Sequence[bytes]], T]) -> T:
        """Returns what `make` made of these recordings, now or for an earlier job of this model: a speaker's
        embedding, for example. It is forgotten with any of the recordings. `make` runs in the caller's
        thread, and two threads may make the same at once. Raises VoiceNotFound as `pcm` does."""
        ...


class NoSamples:
    """The reader of an engine that gets no recordings."""

    def pcm(self, job: SpeechJob, sample: Sample) -> bytes:
        raise EngineFailed("Nobody brings recordings to this engine.")

    def derived(self, job: SpeechJob, samples: Sequence[Sample], make: Callable[[Sequence[bytes]], T]) -> T:
        raise EngineFailed("Nobody brings recordings to this engine.")


NO_SAMPLES = NoSamples()
