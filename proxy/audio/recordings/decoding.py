"""The decoding of one upload, with libav. It runs only in the process of `decoding_child`.

What a file says of itself is not believed: its format is what its bytes are, samples are counted as they
come, and an endless file ends when enough is kept. A damaged file gives what can be read of it.
"""

from __future__ import annotations

from collections.abc import Iterator
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
from proxy.audio.resample import Resample

# Decoders, by libav's names for them.
_DECODERS = {"mp3float": "mp3", "libopus": "opus", "libvorbis": "vorbis"}
_PCM = "pcm_"
# A playlist would name other files, and a video codec is more code, for nothing.
_OPTIONS = {"format_whitelist": "mp3,ogg,wav,flac,mov,aac,matroska", "protocol_whitelist": "none"}
_FAULTS = (av.error.FFmpegError, ValueError, OSError, IndexError, UnicodeError)
_MOST_BAD_PACKETS = 50
_HEARD_FIRST_S = 30.0
_PIECE_BYTES = 1 << 20
_LEAST_LEFT = 0.001
"""30 dB below."""


class LongRecording(Exception):
    """A recording is longer than it may be."""


class LongRefused(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault: Fault = fault


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
    with _opened(data) as container:
        made = _decoded(container, mix)
    return None if mix.is_put_out else made


def decode_long(data: bytes, rate_hz: int, most_s: float) -> Iterator[bytes]:
    """Yield the sound of a file, 16-bit mono at this rate, piece by piece. Raises LongRefused, and after so
    many seconds LongRecording. Little of it is in memory at once."""
    try:
        yield from _pieces(data, rate_hz, most_s)
    except _Refused as refused:
        raise LongRefused(refused.fault) from None
    except _FAULTS:
        raise LongRefused("unreadable") from None


def _pieces(data: bytes, rate_hz: int, most_s: float) -> Iterator[bytes]:
    if not data:
        raise _Refused("empty")
    first = _Mix()
    with _opened(data) as container:
        _decoded(container, first, _HEARD_FIRST_S)
    mix = _Mix(takes_first=first.is_put_out)
    resample: Resample | None = None
    with _opened(data) as container:
        # 16 bits, as engines take them.
        kept = _Kept(mix, is_lossy=True, most_s=most_s)
        for frame in _frames(container, kept):
            kept.add(frame)
            if resample is None:
                resample = Resample(kept.rate_hz, rate_hz)
            if kept.size >= _PIECE_BYTES:
                yield resample.feed(kept.take())
        if kept.is_full:
            raise LongRecording
        if resample is None:
            raise _Refused("unreadable")
        yield resample.feed(kept.take()) + resample.flush()


def _opened(data: bytes) -> Any:
    return av.open(BytesIO(data), "r", metadata_errors="replace", options=dict(_OPTIONS))


def _decoded(container: Any, mix: _Mix, most_s: float = MOST_S) -> Decoded:
    kept = _Kept(mix, is_lossy=_codec(container) in LOSSY, most_s=most_s)
    for frame in _frames(container, kept):
        kept.add(frame)
    return kept.decoded(_codec(container))


def _codec(container: Any) -> str:
    if not container.streams.audio:
        raise _Refused("no_audio")
    context = container.streams.audio[0].codec_context
    if context is None:
        raise _Refused("codec")
    codec: str = _DECODERS.get(context.name, context.name)
    if codec not in LOSSY and codec not in LOSSLESS and not codec.startswith(_PCM):
        raise _Refused("codec")
    return codec


def _frames(container: Any, kept: _Kept) -> Iterator[Any]:
    """Yield the frames of a file that can be read, until it ends or enough is kept."""
    _codec(container)
    stream = container.streams.audio[0]
    stream.codec_context.thread_count = 1
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
        yield from frames


class _Kept:
    """The samples that are kept so far. The first frame decides the rate."""

    def __init__(self, mix: _Mix, *, is_lossy: bool, most_s: float = MOST_S) -> None:
        self.rate_hz = 0
        self._most_s = most_s
        self._added = 0
        self._mix = mix
        self._is_lossy = is_lossy
        self._pcm = bytearray()
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
        if not self.rate_hz:
            self._begin(frame)
        if frame.sample_rate != self.rate_hz:
            raise _Refused("changes")
        left = self._most - self._added
        if frame.samples > left:
            self._is_cut = True
        self._added += min(left, frame.samples)
        self._pcm += self._mono(frame, channels)[: left * self._sample_bytes]

    @property
    def size(self) -> int:
        return len(self._pcm)

    def take(self) -> bytes:
        """Return what is kept, and forget it."""
        taken = bytes(self._pcm)
        self._pcm.clear()
        return taken

    def _begin(self, frame: Any) -> None:
        if not LEAST_RATE_HZ <= frame.sample_rate <= MOST_RATE_HZ:
            raise _Refused("rate")
        self.rate_hz = frame.sample_rate
        most = round(self._most_s * self.rate_hz)
        self._most = most if self._most_s > MOST_S else min(MOST_SAMPLES, most)
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
            raise _Refused("empty" if self.rate_hz else "unreadable")
        pcm = bytes(self._pcm)
        return Decoded(pcm, self.rate_hz, self._sample_bytes, self._channels, codec, self._is_cut)


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
