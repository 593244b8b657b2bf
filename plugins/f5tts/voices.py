"""A voice: the spectrogram of a recording, and its words. It is stored in memory only.

The host stores it under the recording's digest and deletes it with the recording.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import plugins.f5tts.boot  # noqa: F401 - before torchaudio

# isort: split
import numpy as np
import torch
from f5_tts.model.modules import get_vocos_mel_spectrogram

from plugins.f5tts.durations import pace_of
from plugins.f5tts.model_format import HOP, MOST_S, RATE_HZ
from speech_engine.errors import UnusableSample

LEAST_S = 1.0
REVISION = "raised"
"""The version of `make_voice`. It is a part of the models' digests, so cached audio of an older version is
not used."""
_RAISED_TO = 0.1
"""Quieter recordings are raised to this root mean square. The speech is lowered by the same factor."""
_QUIETEST = 1e-5
_PAUSE_S = 0.05
"""Silence after the recording, so that its last word does not run into the first one of the text."""


class F5Voice(NamedTuple):
    """`mels` are (frames, bands), and speech begins at frame `first`. A usual `pace` is 1.0.

    The recording was made `raised` times as loud.
    """

    mels: Any
    first: int
    words: str
    pace: float
    raised: float = 1.0

    def __repr__(self) -> str:
        return f"<F5Voice of {self.seconds:.1f} s>"

    @property
    def seconds(self) -> float:
        return self.first * HOP / RATE_HZ

    @property
    def nbytes(self) -> int:
        return int(self.mels.nbytes)


def make_voice(recording: bytes, words: str) -> F5Voice:
    """Make a voice of a recording, 16-bit mono at RATE_HZ, and its clean words. Raise UnusableSample."""
    sound = np.frombuffer(recording, "<i2").astype(np.float32) / 32768.0
    seconds = len(sound) / RATE_HZ
    if not LEAST_S <= seconds < MOST_S - 2 * LEAST_S:
        raise UnusableSample(f"The recording has {seconds:.1f} seconds; this model hears {LEAST_S:g} to 28.")
    raised = max(1.0, _RAISED_TO / max(_QUIETEST, float(np.sqrt(np.mean(np.square(sound))))))
    sound = np.concatenate([sound * np.float32(raised), np.zeros(round(_PAUSE_S * RATE_HZ), np.float32)])
    with torch.inference_mode():
        mels = get_vocos_mel_spectrogram(torch.from_numpy(sound).unsqueeze(0))[0].T.contiguous()
    # The project cuts its own sound at this frame, too. The spectrogram has one frame more.
    return F5Voice(mels, len(sound) // HOP, words, pace_of(seconds, words), raised)
