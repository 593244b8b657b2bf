"""What a listener gets of an answer: its words where it is in tones, how much there is, how loud."""

import io
import math
from typing import Any

import av
import numpy as np

from tests.sound import Heard, decoded
from tests.tones import words

_FORMATS = {
    "audio/mpeg": "mp3",
    "audio/ogg": "opus",
    "audio/aac": "aac",
    "audio/flac": "flac",
    "audio/wav": "wav",
    "audio/pcm": "pcm",
    "audio/PCMU": "g711_ulaw",
    "audio/PCMA": "g711_alaw",
}
_WITHOUT_HEADER = ("pcm", "g711_ulaw", "g711_alaw")
_EXACT = (*_WITHOUT_HEADER, "wav", "flac")


def format_of(media_type: str) -> str | None:
    return _FORMATS.get(media_type.partition(";")[0])


def described(data: bytes, audio_format: str, speed: float, *, is_steady: bool) -> dict[str, Any]:
    """Bytes are not compared: encoders differ between processors. What is heard of them is.

    `is_steady` is false of an engine that does not speak the same twice.
    """
    if not data:
        return {"format": audio_format, "bytes": 0}
    heard = decoded(data, audio_format)
    count = "samples" if is_steady and audio_format in _EXACT else "samples_about"
    return {
        "format": audio_format,
        "sample_rate": heard.sample_rate_hz,
        "channels": _channels(data, audio_format),
        count: len(heard.samples),
        "loudness_db": _loudness_db(heard),
        "words": _words(heard, speed),
        **(_sizes(data) if audio_format == "wav" else {}),
    }


def _words(heard: Heard, speed: float) -> list[str] | None:
    # A fake of a provider may take no notice of the speed.
    for pace in (speed, 1.0):
        if (found := words(heard.samples, heard.sample_rate_hz, pace)) is not None:
            return found
    return None


def _channels(data: bytes, audio_format: str) -> int:
    if audio_format in _WITHOUT_HEADER:
        return 1
    with av.open(io.BytesIO(data), "r", metadata_errors="replace") as container:
        return container.streams.audio[0].channels


def _sizes(data: bytes) -> dict[str, bool]:
    """Whether the header of a WAV says how long it is, as players that trust it need."""
    return {"says_its_size": int.from_bytes(data[4:8], "little") == len(data) - 8}


def _loudness_db(heard: Heard) -> float | None:
    level = float(np.sqrt(np.mean(np.square(heard.samples)))) if len(heard.samples) else 0.0
    return round(20 * math.log10(level), 1) if level > 1e-5 else None
