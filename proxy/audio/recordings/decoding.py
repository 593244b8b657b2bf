"""The decoding of one upload, with libav. It runs only in the process of `decoding_child`.

The facts that a file states are not trusted: its bytes decide the format, samples are counted as they come,
and an endless file is cut at a limit. A damaged file gives its readable part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any, TypeVar

import av
import numpy as np

# It ships no types.
import soxr  # type: ignore[import-untyped]
from numpy.typing import NDArray

from proxy.audio.libav import forbid_threads
from proxy.audio.recordings import recording

forbid_threads()

# Decoders, by libav's names for them.
_DECODERS = {"mp3float": "mp3", "libopus": "opus", "libvorbis": "vorbis"}
_PCM = "pcm_"
# A playlist would name other files, and a video codec is more code to attack.
_OPTIONS = {"format_whitelist": "mp3,ogg,wav,flac,mov,aac,matroska", "protocol_whitelist": "none"}
_FAULTS = (av.error.FFmpegError, ValueError, OSError, IndexError, UnicodeError)
_MOST_BAD_PACKETS = 50
_LEAST_ENERGY_RATIO = 0.001
"""A mean that is 30 dB below the first channel counts as cancelled."""

_T = TypeVar("_T")


def decode(data: bytes) -> recording.Decoded | recording.Undecoded:
    """Decode a file. Raises MemoryError; any other exception is a fault of the decoder itself."""
    return read_upload(data, _as_decoded)


def read_upload(data: bytes, made_of: Callable[[MonoFrames], _T]) -> _T | recording.Undecoded:
    """Decode the frames of a file. If the channels cancel each other, decode again with the first one alone:
    some recorders invert one channel."""
    mix = Downmix()
    made = read_frames(data, mix, made_of)
    return read_frames(data, Downmix(takes_first=True), made_of) if mix.is_cancelled_out else made


def read_frames(data: bytes, mix: Downmix, made_of: Callable[[MonoFrames], _T]) -> _T | recording.Undecoded:
    if not data:
        return recording.Undecoded("empty")
    try:
        with av.open(BytesIO(data), "r", metadata_errors="replace", options=dict(_OPTIONS)) as container:
            return made_of(MonoFrames(container, mix))
    except recording.UnusableRecording as refused:
        return recording.Undecoded(refused.fault)
    except _FAULTS:
        return recording.Undecoded("unreadable")


class MonoFrames:
    """The frames of a file, which the mix makes mono. The first one decides the rate; there may be no end.

    The padding of an AAC is left out: the first frame, which is the encoder's run-in, unless the container
    tells libav to skip it; and the samples of the last frame after the end that an MP4 names.
    """

    def __init__(self, container: Any, mix: Downmix) -> None:
        if not container.streams.audio:
            raise recording.UnusableRecording.of("no_audio")
        self._stream = container.streams.audio[0]
        self._container = container
        context = self._stream.codec_context
        if context is None:
            raise recording.UnusableRecording.of("codec")
        self.codec = _DECODERS.get(context.name, context.name)
        if (
            self.codec not in recording.LOSSY
            and self.codec not in recording.LOSSLESS
            and not self.codec.startswith(_PCM)
        ):
            raise recording.UnusableRecording.of("codec")
        self.mix = mix
        self.rate_hz = 0
        self.sample_bytes = 2
        self.channels = 0

    @property
    def stated_s(self) -> float:
        """The length of its sound that the file states, or 0.0. Of MP3 and AAC, libav guesses it from the
        first frames, and the length of a container may be that of its video."""
        container, stream = self._container, self._stream
        if container.format.name in ("mp3", "aac"):
            return 0.0
        if stream.duration is not None:
            return float(stream.duration * stream.time_base)
        return float((container.duration or 0) / av.time_base) if len(container.streams) == 1 else 0.0

    def __iter__(self) -> Iterator[tuple[Any, int]]:
        """Yield the frames, each with the number of its samples, as far as they can be read. `mono` gives the
        sound of one."""
        held = None
        for frame in self._all_frames():
            if held is not None:
                yield held, held.samples
            held = frame
        if held is not None:
            yield held, self._samples_of_last(held)

    def _all_frames(self) -> Iterator[Any]:
        bad_packets, has_run_in = 0, None  # None: the first packet has not come
        packets = self._container.demux(self._stream)
        while bad_packets < _MOST_BAD_PACKETS:
            try:
                packet = next(packets)
            except (StopIteration, *_FAULTS):
                return
            try:
                frames = packet.decode()
            except _FAULTS:
                bad_packets += 1
                continue
            if has_run_in is None:
                is_skipped = packet.has_sidedata("skip_samples") or (packet.pts or 0) < 0
                has_run_in = self.codec == "aac" and not is_skipped
            for frame in frames:
                self._check(frame)
                if not has_run_in:
                    yield frame
                has_run_in = False

    def _samples_of_last(self, frame: Any) -> int:
        stream, count = self._stream, int(frame.samples)
        if "mp4" not in self._container.format.name or None in (stream.duration, frame.pts):
            return count
        left = stream.duration + (stream.start_time or 0) - frame.pts
        samples = round(left * stream.time_base * self.rate_hz)
        # At another place it is no frame's end: the length that a file states is not trusted.
        return samples if 0 < samples < count else count

    def mono(self, frame: Any, count: int) -> NDArray[np.float64]:
        samples: NDArray[Any] = frame.to_ndarray()
        channels = frame.layout.nb_channels
        if frame.format.is_planar or channels == 1:
            planes = samples.reshape(channels, -1)
        else:
            planes = samples.reshape(-1, channels).T
        return self.mix.down(_floats(planes[:, :count]))

    def packed(self, mono: NDArray[np.float64]) -> bytes:
        """Return samples as integers of `sample_bytes`."""
        full = float(1 << (8 * self.sample_bytes - 1))
        whole = np.clip(np.rint(mono * full), -full, full - 1).astype("<i4")
        if self.sample_bytes == 2:
            return bytes(whole.astype("<i2").data)
        return bytes(np.ascontiguousarray(whole.view(np.uint8).reshape(-1, 4)[:, :3]).data)

    def no_sound_error(self) -> recording.UnusableRecording:
        return recording.UnusableRecording.of("empty" if self.rate_hz else "unreadable")

    def _check(self, frame: Any) -> None:
        channels = frame.layout.nb_channels
        if not 1 <= channels <= recording.MOST_CHANNELS:
            raise recording.UnusableRecording.of("channels")
        if not self.rate_hz:
            if not recording.LEAST_RATE_HZ <= frame.sample_rate <= recording.MOST_RATE_HZ:
                raise recording.UnusableRecording.of("rate")
            self.rate_hz = frame.sample_rate
            # The loss of a lossy codec is louder than the noise of 16 bits.
            self.sample_bytes = 2 if self.codec in recording.LOSSY or frame.format.bytes <= 2 else 3
        if frame.sample_rate != self.rate_hz:
            raise recording.UnusableRecording.of("changes")
        self.channels = max(self.channels, channels)


def _as_decoded(frames: MonoFrames) -> recording.Decoded:
    pcm, sample_count, is_cut, stored_rate = bytearray(), 0, False, None
    for frame, samples in frames:
        stored_rate = stored_rate or StoredRate(frames.rate_hz)
        left = round(recording.MOST_S * frames.rate_hz) - sample_count
        is_cut = samples > left
        sample_count += min(samples, left)
        pcm += frames.packed(stored_rate.feed(frames.mono(frame, samples)[:left]))
        if is_cut:
            break
    if stored_rate is None or not sample_count:
        raise frames.no_sound_error()
    pcm += frames.packed(stored_rate.flush())
    whole = bytes(pcm[: recording.MOST_SAMPLES * frames.sample_bytes])
    return recording.Decoded(
        whole, stored_rate.rate_hz, frames.sample_bytes, frames.channels, frames.codec, is_cut
    )


class StoredRate:
    """Resamples to the stored rate. Sound at up to `MOST_STORED_HZ` stays unchanged."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = min(rate_hz, recording.MOST_STORED_HZ)
        self._stream = None
        if rate_hz > recording.MOST_STORED_HZ:
            self._stream = soxr.ResampleStream(rate_hz, self.rate_hz, 1, dtype="float64", quality="HQ")

    def feed(self, mono: NDArray[np.float64]) -> NDArray[np.float64]:
        return mono if self._stream is None else np.asarray(self._stream.resample_chunk(mono))

    def flush(self) -> NDArray[np.float64]:
        rest = np.zeros(0)
        return rest if self._stream is None else np.asarray(self._stream.resample_chunk(rest, last=True))


class Downmix:
    """Mixes several channels to one: their mean, or the first one alone."""

    def __init__(self, *, takes_first: bool = False) -> None:
        self.takes_first = takes_first
        self._in_energy = self._out_energy = 0.0

    @property
    def is_cancelled_out(self) -> bool:
        """Whether the other channels cancel the first one in the mean."""
        return self._out_energy < _LEAST_ENERGY_RATIO * self._in_energy

    def down(self, planes: NDArray[np.float64]) -> NDArray[np.float64]:
        if len(planes) == 1 or self.takes_first:
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
