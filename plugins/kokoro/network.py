"""Kokoro's network: numbers and a style in, sound out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plugins.kokoro.model_format import SPEED, STYLE, STYLE_SIZE, KokoroModel, StyleVoice
from plugins.kokoro.reading import Piece
from plugins.kokoro.voices import RATE_HZ
from speech_engine import EngineFailed
from speech_engine.host.onnx_network import OnnxNetwork, StopSwitch

MOST_S = 300
"""The longest sound of one piece. A model that makes more of it is broken, or made to harm."""

_PEAK = 32767.0


class Network:
    """The loaded model. Several threads may speak with it."""

    def __init__(self, folder: Path, model: KokoroModel, threads: int) -> None:
        self._model = model
        self._styles = folder / "voices.npz"
        self._network = OnnxNetwork(folder / "model.onnx", threads)

    def __repr__(self) -> str:
        return "<Network>"

    def speak(self, piece: Piece, voice: StyleVoice, speed: float, stop: StopSwitch) -> bytes:
        """Return the sound of a piece as 16-bit samples. Raise EngineFailed."""
        # A voice has a style for each number of sounds, the pads not counted, from one on.
        row = min(len(piece.numbers) - 2, voice.styles) - 1
        style = np.fromfile(
            self._styles, "<f4", STYLE_SIZE, offset=voice.begin + row * STYLE_SIZE * np.dtype("<f4").itemsize
        )
        values = {
            self._model.tokens_input: np.array([piece.numbers], np.int64),
            STYLE: style[np.newaxis],
            SPEED: np.array([speed], np.float32),
        }
        sound = self._network.run(self._model.output, values, stop)
        return _pcm_of(np.asarray(sound, np.float32).reshape(-1))


def _pcm_of(sound: NDArray[np.float32]) -> bytes:
    if len(sound) > MOST_S * RATE_HZ:
        raise EngineFailed(f"The model's network made more than {MOST_S} seconds of one sentence.")
    clean = np.nan_to_num(np.clip(sound, -1.0, 1.0))
    return (clean * _PEAK).astype("<i2").tobytes()
