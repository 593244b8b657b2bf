"""Ears of fakes: they hear what the tone engine has spoken, frame by frame."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from plugins.tone.decode import Frame, find_frames


class Recording(NamedTuple):
    seconds: float
    frames: list[Frame]

    @property
    def text(self) -> str:
        return " ".join(frame.text for frame in self.frames)


def hear(wav: bytes) -> Recording:
    """Return what is in a WAV of 16-bit mono. Raises ValueError for other bytes."""
    try:
        with wave.open(io.BytesIO(wav)) as file:
            rate_hz, layout = file.getframerate(), (file.getnchannels(), file.getsampwidth())
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    except (wave.Error, EOFError) as error:
        raise ValueError(str(error)) from None
    if layout != (1, 2):
        raise ValueError("not 16-bit mono")
    # Silence has no frames, and costs no search.
    return Recording(len(samples) / rate_hz, find_frames(samples, rate_hz) if samples.any() else [])


def words_of(frame: Frame) -> Iterator[Frame]:
    """Yield the words of a frame, with times that part its length evenly."""
    words = frame.text.split()
    each_s = (frame.end_s - frame.start_s) / max(1, len(words))
    for at, word in enumerate(words):
        yield Frame(word, frame.start_s + at * each_s, frame.start_s + (at + 1) * each_s)
