"""Recordings for the contract suite: an engine's own speech, to clone, to speak with and to convert."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from contextlib import aclosing
from functools import cache

from speech_engine.engine import EngineConverts
from speech_engine.events import Audio, Event, Started
from speech_engine.host.sample_cache import SampleCache
from speech_engine.models import ModelInfo
from speech_engine.pcm import PcmReader, nearest_samples, wav_file
from speech_engine.values import Sample, SpeechJob

CLONE_S = 12.0
"""Providers take recordings of 10 seconds or more."""

INPUT_RATE_HZ = 24_000
_HUM_S = 4.0
_PIECE_BYTES = 4_801
"""An odd number: pieces of a recording need not be whole samples."""


def wav_of(spoken: Sequence[Event], least_s: float) -> bytes:
    """Return the speech as a WAV file, repeated until it is long enough."""
    pcm, rate_hz = _sound_of(spoken)
    return wav_file(pcm * (1 + int(2 * rate_hz * least_s / max(1, len(pcm)))), rate_hz)


def put_recording(
    sample_cache: SampleCache, model: ModelInfo, tenant: str, spoken: Sequence[Event]
) -> Sample:
    """Put the speech into a cache as a recording for this model, long enough for it. Return its sample."""
    pcm, rate_hz = _sound_of(spoken)
    pcm = nearest_samples(pcm, rate_hz, model.sample_hz)
    least_s, most_s = model.sample_s
    least, most = (2 * round(seconds * model.sample_hz) for seconds in (least_s, most_s))
    pcm = (pcm * (1 + least // max(1, len(pcm))))[:most]
    sample = Sample("recording", text="A recording.", seconds=len(pcm) / 2 / model.sample_hz)
    sample_cache.put(tenant, model.id, sample.digest, pcm)
    return sample


def put_missing(sample_cache: SampleCache, model: ModelInfo, job: SpeechJob) -> None:
    """Put a hum into a cache for each recording that a job of this model names and the cache lacks."""
    if job.model != model.id or not model.speaks_samples:
        return
    for digest in sample_cache.missing(job):
        least_s, most_s = model.sample_s
        sample_cache.put(
            job.tenant, model.id, digest, hum(model.sample_hz, min(max(least_s, _HUM_S), most_s))
        )


@cache
def hum(rate_hz: int, seconds: float) -> bytes:
    """Return a note with overtones that comes and goes, as a voice does: 16-bit mono."""
    count = round(rate_hz * seconds)
    waves = ((moment * 120 / rate_hz, moment * 3 / rate_hz) for moment in range(count))
    values = (
        sum(math.sin(math.tau * note * part) / part for part in range(1, 6)) * (0.6 + 0.4 * math.sin(swell))
        for note, swell in waves
    )
    return array("h", (round(7_000 * value) for value in values)).tobytes()


def input_of(spoken: Sequence[Event]) -> bytes:
    """Return the speech as `convert` gets it."""
    pcm, rate_hz = _sound_of(spoken)
    return nearest_samples(pcm, rate_hz, INPUT_RATE_HZ)


async def collect_conversion(engine: EngineConverts, job: SpeechJob, pcm: bytes) -> tuple[Event, ...]:
    """Return all events of a conversion, in order. An error of the engine passes through."""
    async with aclosing(engine.convert(job, PcmRecording(pcm))) as events:
        return tuple([event async for event in events])


class PcmRecording(PcmReader):
    """PCM that comes in pieces, as from a client."""

    def __init__(self, pcm: bytes) -> None:
        super().__init__(pcm, _PIECE_BYTES)


def _sound_of(spoken: Sequence[Event]) -> tuple[bytes, int]:
    rate_hz = next((event.sample_rate_hz for event in spoken if isinstance(event, Started)), INPUT_RATE_HZ)
    return b"".join(event.pcm for event in spoken if isinstance(event, Audio)), rate_hz
