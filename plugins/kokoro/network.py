"""Kokoro's network in onnxruntime: numbers and a style in, sound out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as faults

from plugins.kokoro.model_format import SPEED, STYLE, STYLE_SIZE, KokoroModel, StyleVoice
from plugins.kokoro.reading import Piece
from plugins.kokoro.voices import RATE_HZ
from speech_engine import EngineFailed

MOST_S = 300
"""The longest sound of one piece. A model that makes more of it is broken, or made to harm."""

_FAULTS = tuple(
    each for each in vars(faults).values() if isinstance(each, type) and issubclass(each, Exception)
)
"""The runtime's errors have no class in common."""
_PEAK = 32767.0
_NOT_TOLD = 4
"""The level of onnxruntime's log that tells nothing but its end: a message could quote what is spoken."""


class StopSwitch:
    """Ends a run of the network, from another thread. It stops after the operator that it computes."""

    def __init__(self) -> None:
        self.options = onnxruntime.RunOptions()

    def __repr__(self) -> str:
        return f"<StopSwitch {'on' if self.options.terminate else 'off'}>"

    def stop(self) -> None:
        self.options.terminate = True


class Network:
    """The loaded model. Several threads may speak with it."""

    def __init__(self, folder: Path, model: KokoroModel, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        # A number of our own: with its default, it would bind threads to cores, which a host may not.
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _NOT_TOLD
        # Texts differ in length. What it keeps for the longest one so far would never be given back.
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._model = model
        self._styles = folder / "voices.npz"
        # From memory: so no path in the file can lead anywhere.
        data = (folder / "model.onnx").read_bytes()
        try:
            self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except _FAULTS as error:
            raise EngineFailed("onnxruntime does not take the model.", detail=str(error)[:300]) from None

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
        try:
            sound = self._session.run([self._model.output], values, stop.options)[0]
        except _FAULTS as error:
            raise EngineFailed(f"The model's network failed: {type(error).__name__}.") from None
        return _pcm_of(np.asarray(sound, np.float32).reshape(-1))


def _pcm_of(sound: NDArray[np.float32]) -> bytes:
    if len(sound) > MOST_S * RATE_HZ:
        raise EngineFailed(f"The model's network made more than {MOST_S} seconds of one sentence.")
    clean = np.nan_to_num(np.clip(sound, -1.0, 1.0))
    return (clean * _PEAK).astype("<i2").tobytes()
