"""The sample for an engine, derived from a master: only speech, at one level and at the engine's rate.

Derived samples are not stored, because each engine needs another rate and length.
"""

from __future__ import annotations

import msgspec
import numpy as np
import soxr  # type: ignore[import-untyped]

from policies.sample_quality import PART_S, SampleQuality, speech_range_s
from proxy.audio.fitting import Resample
from proxy.audio.loudness import Gain
from proxy.audio.recordings.master import Floats, Master
from proxy.audio.recordings.recording import UnusableRecording
from proxy.audio.sound import FadeOut
from speech_engine import ModelInfo
from speech_engine.loudness import Meter, lufs

LEVEL_LUFS = -20.0
"""The loudness of samples, as of the recordings that models are trained on. It leaves room for peaks."""

_MOST_GAIN_DB = 35.0
_CUT_SHARE = 0.3
"""The last share of the allowed length, which is searched for a quiet place to cut."""
_STEP_S = 0.02
_PAUSE_STEPS = 5
_SCALE = np.float32(32767)


class SampleSpec(msgspec.Struct, frozen=True):
    """The requirements of a model: the seconds of sound, the sample rate, and whether it must know the
    words."""

    least_s: float
    most_s: float
    rate_hz: int
    needs_text: bool = False

    @classmethod
    def of(cls, info: ModelInfo) -> SampleSpec:
        return cls(*info.sample_s, info.sample_hz, info.needs_sample_text)


def derive_sample(master: bytes, quality: SampleQuality, spec: SampleSpec) -> bytes:
    """Return 16-bit mono PCM for a model. Raises UnusableRecording if the recording is too short for it.

    It takes some milliseconds of the processor for each second of sound: call it in a thread.
    """
    whole = Master(master)
    start, end = _speech_range(whole, quality, spec)
    samples = whole.read(start, end)
    most_samples = round(spec.most_s * whole.rate_hz)
    if len(samples) > most_samples:
        if spec.needs_text:
            most_samples = min(most_samples, round(PART_S * whole.rate_hz))
        samples = samples[: _quietest_cut(samples, most_samples, whole.rate_hz)]
    if whole.rate_hz != spec.rate_hz:
        samples = soxr.resample(samples, whole.rate_hz, spec.rate_hz, quality="HQ")
    samples = samples[: round(spec.most_s * spec.rate_hz)]
    fade = FadeOut()
    return fade.feed(_levelled(to_pcm(samples), spec.rate_hz)) + fade.flush()


def _speech_range(whole: Master, quality: SampleQuality, spec: SampleSpec) -> tuple[int, int]:
    """Return the range of samples of the speech with margins. If it is too short, it is widened
    over what lies around it."""
    start, end = speech_range_s(quality, whole.seconds)
    if end - start < spec.least_s:
        if whole.seconds < spec.least_s:
            raise UnusableRecording(
                f"it has {whole.seconds:.1f} seconds, and this model needs at least {spec.least_s:g}"
            )
        start = max(0.0, min(start, whole.seconds - spec.least_s))
        end = max(end, start + spec.least_s)
    return round(start * whole.rate_hz), round(end * whole.rate_hz)


def _quietest_cut(samples: Floats, most_samples: int, rate_hz: int) -> int:
    """Return the place for a cut shortly before `most_samples`, in the middle of the quietest moment."""
    step = round(_STEP_S * rate_hz)
    first = round(most_samples * (1 - _CUT_SHARE))
    steps = (most_samples - first) // step
    if steps <= _PAUSE_STEPS:
        return most_samples
    powers = np.square(samples[first : first + steps * step].reshape(steps, step)).mean(axis=1)
    moments = np.convolve(powers, np.ones(_PAUSE_STEPS), "valid")
    # The last of the quietest places, so that the sample is as long as possible.
    quietest = len(moments) - 1 - int(np.argmin(moments[::-1]))
    return first + round((quietest + _PAUSE_STEPS / 2) * step)


def _levelled(pcm: bytes, rate_hz: int) -> bytes:
    meter = Meter(rate_hz)
    meter.feed(pcm)
    level = lufs(meter.powers)
    if level is None:
        return pcm
    gain = Gain(min(LEVEL_LUFS - level, _MOST_GAIN_DB), rate_hz)
    return gain.feed(pcm) + gain.flush()


def to_pcm(samples: Floats) -> bytes:
    return bytes(np.clip(np.rint(samples * _SCALE), -_SCALE, _SCALE).astype("<i2").data)


_CHUNK_S = 5
_SILENT_LEVEL = 10 ** (-55 / 20) * 2**15


def whole_sound(master: bytes, rate_hz: int) -> bytes:
    """Return all of a master. It takes milliseconds for each second of sound: call it in a thread."""
    whole = Master(master)
    resample = Resample(whole.rate_hz, rate_hz)
    piece = _CHUNK_S * whole.rate_hz
    starts = range(0, whole.samples, piece)
    made = [resample.feed(to_pcm(whole.read(start, start + piece))) for start in starts]
    return b"".join([*made, resample.flush()])


def is_silent(pcm: bytes) -> bool:
    samples = np.frombuffer(pcm, "<i2")
    return not len(samples) or max(int(samples.max()), -int(samples.min())) < _SILENT_LEVEL
