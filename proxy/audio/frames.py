"""What an engine encoded itself, so that its bytes can pass: whole frames, their samples counted."""

from __future__ import annotations

from typing import Protocol

from proxy.audio.formats import SAMPLE_BYTES, Chunk
from proxy.audio.frames_adts import AdtsFrames
from proxy.audio.frames_mp3 import Mp3Frames
from proxy.audio.frames_ogg import OpusPages


class Frames(Protocol):
    """`feed` an engine's bytes as they come; each chunk has whole frames only. `flush` at the end.

    Both raise EngineFailed at bytes that are not the format. A cut last frame is dropped: no player
    can use it.
    """

    def feed(self, data: bytes) -> Chunk: ...

    def flush(self) -> Chunk: ...


def open_frames(audio_format: str) -> Frames | None:
    """None for a format that has to be encoded anew: the frames of FLAC have no length, and a WAV's sizes
    have to be true."""
    match audio_format:
        case "mp3":
            return Mp3Frames()
        case "aac":
            return AdtsFrames()
        case "opus":
            return OpusPages()
        case "pcm":
            return PcmFrames()
    return None


class PcmFrames:
    """16-bit mono at 24 kHz: the only PCM that may pass as it is."""

    def __init__(self) -> None:
        self._half = b""

    def feed(self, data: bytes) -> Chunk:
        data = self._half + data
        whole = len(data) - len(data) % SAMPLE_BYTES
        self._half = data[whole:]
        return Chunk(data[:whole], whole // SAMPLE_BYTES)

    def flush(self) -> Chunk:
        return Chunk()
