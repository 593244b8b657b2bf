"""The values of uploaded recordings: limits, faults, a decoded recording, and the answer of the decoding
process.

This module imports no large library: see proxy/audio/libraries.py.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from speech_engine.redacted import Redacted

LEAST_RATE_HZ, MOST_RATE_HZ = 8_000, 192_000
MOST_CHANNELS = 8
MOST_S = 300.0
MOST_STORED_HZ = 48_000
"""The highest stored rate. Voices need no higher one, so higher rates are reduced to it."""
MOST_SAMPLES = round(MOST_S * MOST_STORED_HZ)
"""The most stored samples of a recording: five minutes."""

LOSSY = ("mp3", "aac", "opus", "vorbis")
LOSSLESS = ("flac", "alac")

Fault = Literal[
    "empty", "unreadable", "no_audio", "codec", "rate", "channels", "changes", "memory", "time", "lost"
]

_SENTENCES: dict[Fault, str] = {
    "empty": "it has no sound",
    "unreadable": "it cannot be read as wav, mp3, m4a, aac, ogg, webm or flac",
    "no_audio": "there is no audio in it",
    "codec": "its codec is none of pcm, mp3, aac, alac, opus, vorbis and flac",
    "rate": f"its sample rate must be {LEAST_RATE_HZ} to {MOST_RATE_HZ} Hz",
    "channels": f"it must have 1 to {MOST_CHANNELS} channels",
    "changes": "its sample rate changes on the way",
    "memory": "it takes too much memory to decode",
    "time": "it takes too long to decode",
    "lost": "it cannot be decoded",
}


class UnusableRecording(Exception):
    """A recording that cannot be used. The message completes "Invalid value for 'x': …" for its sender."""

    fault: Fault = "lost"

    @classmethod
    def of(cls, fault: Fault) -> UnusableRecording:
        refused = cls(_SENTENCES[fault])
        refused.fault = fault
        return refused


class SpeechRecording(msgspec.Struct, frozen=True):
    """A recording that was decoded. `channels` and `codec` are those of the upload. `is_cut` is true if the
    upload was longer than the stored length."""

    master: bytes
    rate_hz: int
    seconds: float
    channels: int
    codec: str
    is_cut: bool = False

    def __repr__(self) -> str:
        return f"<SpeechRecording {self.codec}, {self.seconds:.1f} s at {self.rate_hz} Hz>"


class Decoded(Redacted, msgspec.Struct, frozen=True, tag="decoded"):
    """The child's result for an upload: bare mono samples, and facts about the upload. `lacks` names the
    parts of the child's confinement that this machine cannot provide."""

    pcm: bytes
    rate_hz: int
    sample_bytes: int
    channels: int
    codec: str
    is_cut: bool
    lacks: tuple[str, ...] = ()


class Undecoded(msgspec.Struct, frozen=True, tag="undecoded"):
    fault: Fault
