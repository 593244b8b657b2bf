"""Ears for the tests: tones to speak with, and any answer decoded to float mono, as a player would."""

import io
from typing import NamedTuple

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

from proxy.audio.formats import OUTPUT_RATE_HZ

PADDING_S = {"mp3": 0.1, "aac": 0.1, "opus": 0.002, "flac": 0.0, "wav": 0.0, "pcm": 0.0} | {
    "g711_ulaw": 0.0,
    "g711_alaw": 0.0,
}
"""How much longer than what was spoken a decoded answer may be: two formats cannot say where it ends."""


class Heard(NamedTuple):
    samples: NDArray[np.float32]
    sample_rate_hz: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate_hz

    @property
    def loudness(self) -> float:
        """RMS of the middle half, where full scale is 1."""
        middle = self._middle()
        return float(np.sqrt(np.mean(np.square(middle)))) if len(middle) else 0.0

    @property
    def pitch_hz(self) -> float:
        """The strongest frequency of the middle half."""
        middle = self._middle()
        spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), n=8 * len(middle)))
        return float(np.argmax(spectrum)) * self.sample_rate_hz / (8 * len(middle))

    def _middle(self) -> NDArray[np.float32]:
        quarter = len(self.samples) // 4
        return self.samples[quarter : len(self.samples) - quarter]


def tone(pitch_hz: float, seconds: float, sample_rate_hz: int = OUTPUT_RATE_HZ) -> bytes:
    """A sine at a third of full scale, as 16-bit PCM."""
    times = np.arange(round(seconds * sample_rate_hz)) / sample_rate_hz
    return (np.sin(2 * np.pi * pitch_hz * times) * 11_000).astype("<i2").tobytes()


def decoded(data: bytes, audio_format: str, pcm_rate_hz: int = OUTPUT_RATE_HZ) -> Heard:
    """What a listener gets of these bytes, which may be cut short. Headerless `pcm` has `pcm_rate_hz`."""
    if audio_format == "pcm":
        whole = data[: len(data) // 2 * 2]
        return Heard(_floats(np.frombuffer(whole, "<i2")), pcm_rate_hz)
    if audio_format.startswith("g711"):
        expand = mu_law_samples if audio_format == "g711_ulaw" else a_law_samples
        return Heard(_floats(expand(data)), 8_000)
    if audio_format == "wav":
        channels, sample_rate_hz = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
        return Heard(channels.mean(axis=1).astype(np.float32), sample_rate_hz)
    return _libav_decoded(data)


def difference(one: bytes, other: bytes) -> int:
    """The most by which two samples of two PCM sounds of one length differ."""
    left, right = (np.frombuffer(each, "<i2").astype(np.int32) for each in (one, other))
    assert left.shape == right.shape
    return int(np.abs(left - right).max())


def mu_law_samples(data: bytes) -> NDArray[np.int16]:
    """The samples of G.711 µ-law, by the standard's own rule: sign, eight steps of three bits, four bits."""
    code = ~np.frombuffer(data, np.uint8)
    sizes = (((code & 0x0F).astype(np.int32) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return np.where(code & 0x80, -sizes, sizes).astype(np.int16)


def a_law_samples(data: bytes) -> NDArray[np.int16]:
    """The samples of G.711 A-law: every second bit is turned, and the lowest step is as wide as the next."""
    code = np.frombuffer(data, np.uint8) ^ 0x55
    steps = ((code & 0x70) >> 4).astype(np.int32)
    low = ((code & 0x0F).astype(np.int32) << 4) + 8
    sizes = np.where(steps > 0, low + 0x100 << np.maximum(steps - 1, 0), low)
    return np.where(code & 0x80, sizes, -sizes).astype(np.int16)


def _floats(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    return samples.astype(np.float32) / np.float32(32_768)


def _libav_decoded(data: bytes) -> Heard:
    with av.open(io.BytesIO(data), "r", metadata_errors="replace") as container:
        stream = container.streams.audio[0]
        to_mono = av.AudioResampler(format="flt", layout="mono", rate=stream.rate)
        parts = [
            mono.to_ndarray().reshape(-1)
            for frame in [*container.decode(stream), None]
            for mono in to_mono.resample(frame)
        ]
        samples = np.concatenate(parts) if parts else np.zeros(0, np.float32)
        return Heard(samples.astype(np.float32), stream.rate)
