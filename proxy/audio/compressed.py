"""The encoder of compressed formats, with libav. Only answers of such a format import this module."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import av
import numpy as np

from proxy.audio.formats import SAMPLE_BYTES, Chunk, Codec, OutputForm, SoundFailed, machine_tags, silence
from proxy.audio.frames import OPUS_RATE_HZ, last_granule
from proxy.audio.libav import forbid_threads

forbid_threads()


def audio_frame(pcm: bytes, rate_hz: int, position: int = 0) -> av.AudioFrame:
    """Make one mono frame. `position` is the place of its first sample in the stream."""
    samples = np.frombuffer(pcm, "<i2").astype(np.int16, copy=False)
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = rate_hz
    frame.time_base = Fraction(1, rate_hz)
    frame.pts = position
    return frame


class Sink:
    """A buffer that the muxer writes into. Like a socket, it cannot seek."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: bytes) -> int:
        self._held += data
        return len(data)

    def muxed_bytes(self) -> bytes:
        data = bytes(self._held)
        self._held.clear()
        return data


_EMPTY_ANSWER_S = 0.1
_SPEECH_KBIT_S = 24
"""Below this bit rate, Opus needs its mode for speech."""


class CompressedEncoder:
    """A libav encoder and muxer. Each chunk says how many samples its bytes complete."""

    def __init__(self, codec: Codec, form: OutputForm) -> None:
        self._codec = codec
        self._rate_hz = form.sample_rate_hz
        self._sink = Sink()
        # The chunks so far complete the covered samples. The last packet ends at `_muxed_end`, in samples.
        self._fed_samples = 0
        self._covered_samples = 0
        self._muxed_end = 0
        self._delay_samples = 0
        self._is_closed = False
        with self._own_errors():
            muxing = {**codec.muxing, "flush_packets": "1"}
            encoding = dict(codec.encoding)
            if codec.name == "libopus" and (form.kbit_s or _SPEECH_KBIT_S) < _SPEECH_KBIT_S:
                encoding["application"] = "voip"
            self._container = av.open(self._sink, "w", format=codec.container, options=muxing)
            if form.source and codec.takes_tags:
                self._container.metadata.update(machine_tags(form.source))
            stream = self._container.add_stream(
                codec.name, rate=self._rate_hz, layout="mono", options=encoding
            )
        assert isinstance(stream, av.AudioStream)
        kbit_s = form.kbit_s or codec.kbits.get(self._rate_hz)
        if kbit_s is not None:
            stream.bit_rate = kbit_s * 1000
        self._stream = stream

    def feed(self, pcm: bytes) -> Chunk:
        if pcm:
            self._encode(audio_frame(pcm, self._rate_hz, self._fed_samples))
            self._fed_samples += len(pcm) // SAMPLE_BYTES
        data = self._sink.muxed_bytes()
        return Chunk(data, self._advance(self._end_of(data)), self._rate_hz)

    def flush(self) -> Chunk:
        if not self._fed_samples:
            # An empty body is no valid file in these formats. The moment of silence costs nothing.
            self._encode(audio_frame(silence(round(_EMPTY_ANSWER_S * self._rate_hz)), self._rate_hz))
        self._encode(None)
        self._is_closed = True
        with self._own_errors():
            self._container.close()
        return Chunk(self._sink.muxed_bytes(), self._advance(self._fed_samples), self._rate_hz)

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        try:
            self._container.close()
        except av.error.FFmpegError:
            # Only the end of a file is lost, and no client waits for it. The encoder is still freed.
            pass

    def _encode(self, frame: av.AudioFrame | None) -> None:
        if self._is_closed:
            raise SoundFailed("the encoder is closed")
        with self._own_errors():
            for packet in self._stream.encode(frame):
                self._note_end(packet)
                self._container.mux(packet)

    @contextmanager
    def _own_errors(self) -> Iterator[None]:
        """Raise SoundFailed in place of the errors of libav."""
        try:
            yield
        except (av.error.FFmpegError, ValueError) as error:
            raise SoundFailed(f"{self._codec.name} failed: {error}") from error

    def _note_end(self, packet: av.Packet[av.AudioStream]) -> None:
        """Note where a packet ends. Position 0 is the first sample: the encoder's delay is before it."""
        if packet.pts is None or packet.time_base is None:
            return
        clock: Fraction = packet.time_base * self._rate_hz
        self._muxed_end = int((packet.pts + (packet.duration or 0)) * clock)
        self._delay_samples = max(self._delay_samples, int(-packet.pts * clock))

    def _end_of(self, data: bytes) -> int:
        """Return the sample at which the sound in the written bytes ends."""
        if not data:
            return self._covered_samples
        if self._codec.container != "ogg":
            return self._muxed_end
        granule = last_granule(data) or 0
        return granule * self._rate_hz // OPUS_RATE_HZ - self._delay_samples

    def _advance(self, end: int) -> int:
        """Move the end of the covered samples to `end`, and return by how many samples it moved."""
        end = max(self._covered_samples, min(end, self._fed_samples))
        newly_covered, self._covered_samples = end - self._covered_samples, end
        return newly_covered
