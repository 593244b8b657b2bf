"""The decoding of one upload, with libav. It runs only in the process of `decoding_child`.

What a file says of itself is not believed: its format is what its bytes are, samples are counted as they
come, and an endless file ends when enough is kept. A damaged file gives what can be read of it.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from proxy.audio.recordings.recording import (
    LEAST_RATE_HZ,
    LOSSLESS,
    LOSSY,
    MOST_CHANNELS,
    MOST_RATE_HZ,
    MOST_S,
    MOST_SAMPLES,
    Decoded,
    Fault,
    Undecoded,
)

# Decoders, by libav's names for them.
_DECODERS = {"mp3float": "mp3", "libopus": "opus", "libvorbis": "vorbis"}
_PCM = "pcm_"
# A playlist would name other files, and a video codec is more code, for nothing.
_OPTIONS = {"format_whitelist": "mp3,ogg,wav,flac,mov,aac,matroska", "protocol_whitelist": "none"}
_FAULTS = (av.error.FFmpegError, ValueError, OSError, IndexError, UnicodeError)
_MOST_BAD_PACKETS = 50
_LEAST_LEFT = 0.001
"""30 dB below."""


class _Refused(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault: Fault = fault


def decode(data: bytes) -> Decoded | Undecoded:
    """Decode a file. Raises MemoryError, and what only a fault of the decoder's own would raise."""
    if not data:
        return Undecoded("empty")
    try:
        return _read(data, _Mix()) or _read(data, _Mix(takes_first=True)) or Undecoded("empty")
    except _Refused as refused:
        return Undecoded(refused.fault)
    except _FAULTS:
        return Undecoded("unreadable")


def _read(data: bytes, mix: _Mix) -> Decoded | None:
    """Decode once. Return None if the channels put one another out: some recorders turn one upside down."""
    with av.open(BytesIO(data), "r", metadata_errors="replace", options=dict(_OPTIONS)) as container:
        made = _decoded(container, mix)
    return None if mix.is_put_out else made


def _decoded(container: Any, mix: _Mix) -> Decoded:
    if not container.streams.audio:
        raise _Refused("no_audio")
    stream = container.streams.audio[0]
    context = stream.codec_context
    if context is None:
        raise _Refused("codec")
    codec = _DECODERS.get(context.name, context.name)
    if codec not in LOSSY and codec not in LOSSLESS and not codec.startswith(_PCM):
        raise _Refused("codec")
    context.thread_count = 1
    kept = _Kept(mix, is_lossy=codec in LOSSY)
    bad_packets = 0
    packets = container.demux(stream)
    while not kept.is_full and bad_packets < _MOST_BAD_PACKETS:
        try:
            packet = next(packets)
        except (StopIteration, *_FAULTS):
            break
        try:
            frames = packet.decode()
        except _FAULTS:
            bad_packets += 1
            continue
        for frame in frames:
            kept.add(frame)
    return kept.decoded(codec)


class _Kept:
    """The samples that are kept so far. The first frame decides the rate."""

    def __init__(self, mix: _Mix, *, is_lossy: bool) -> None:
        self._mix = mix
        self._is_lossy = is_lossy
        self._pcm = bytearray()
        self._rate_hz = 0
        self._sample_bytes = 2
        self._channels = 0
        self._most = MOST_SAMPLES
        self._is_cut = False

    @property
    def is_full(self) -> bool:
        return self._is_cut

    def add(self, frame: Any) -> None:
        channels = frame.layout.nb_channels
        if not 1 <= channels <= MOST_CHANNELS:
            raise _Refused("channels")
        if not self._rate_hz:
            self._begin(frame)
        if frame.sample_rate != self._rate_hz:
            raise _Refused("changes")
        left = self._most - len(self._pcm) // self._sample_bytes
        if frame.samples > left:
            self._is_cut = True
        self._pcm += self._mono(frame, channels)[: left * self._sample_bytes]

    def _begin(self, frame: Any) -> None:
        if not LEAST_RATE_HZ <= frame.sample_rate <= MOST_RATE_HZ:
            raise _Refused("rate")
        self._rate_hz = frame.sample_rate
        self._most = min(MOST_SAMPLES, round(MOST_S * self._rate_hz))
        # What a lossy codec leaves out is louder than the noise of 16 bits.
        self._sample_bytes = 2 if self._is_lossy or frame.format.bytes <= 2 else 3

    def _mono(self, frame: Any, channels: int) -> bytes:
        samples: NDArray[Any] = frame.to_ndarray()
        if frame.format.is_planar or channels == 1:
            planes = samples.reshape(channels, -1)
        else:
            planes = samples.reshape(-1, channels).T
        self._channels = max(self._channels, channels)
        mono = self._mix.down(_floats(planes))
        full = float(1 << (8 * self._sample_bytes - 1))
        whole = np.clip(np.rint(mono * full), -full, full - 1).astype("<i4")
        if self._sample_bytes == 2:
            return bytes(whole.astype("<i2").data)
        return bytes(np.ascontiguousarray(whole.view(np.uint8).reshape(-1, 4)[:, :3]).data)

    def decoded(self, codec: str) -> Decoded:
        if not self._pcm:
            raise _Refused("empty" if self._rate_hz else "unreadable")
        pcm = bytes(self._pcm)
        return Decoded(pcm, self._rate_hz, self._sample_bytes, self._channels, codec, self._is_cut)


class _Mix:
    """The way from several channels to one: their mean, or the first one alone."""

    def __init__(self, *, takes_first: bool = False) -> None:
        self._takes_first = takes_first
        self._in_energy = self._out_energy = 0.0

    @property
    def is_put_out(self) -> bool:
        """Whether hardly anything of the first channel is left in the mean."""
        return self._out_energy < _LEAST_LEFT * self._in_energy

    def down(self, planes: NDArray[np.float64]) -> NDArray[np.float64]:
        if len(planes) == 1 or self._takes_first:
            return np.asarray(planes[0])
        mono: NDArray[np.float64] = planes.mean(axis=0)
        self._in_energy += float(np.sum(np.square(planes[0])))
        self._out_energy += float(np.sum(np.square(mono)))
        return mono


def _floats(samples: NDArray[Any]) -> NDArray[np.float64]:
    if samples.dtype.kind == "f":
        return np.clip(np.nan_to_num(samples.astype(np.float64), nan=0.0), -1.0, 1.0)
    if samples.dtype == np.uint8:
        return (samples.astype(np.float64) - 128) / 128
    return samples.astype(np.float64) / float(1 << (8 * samples.dtype.itemsize - 1))
