"""A voice's network: numbers in, sound out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plugins.piper.reading import Piece
from plugins.piper.voice_format import INPUT, LENGTHS, OUTPUT, SCALES, SPEAKER
from speech_engine import EngineFailed
from speech_engine.host.onnx_network import OnnxNetwork, StopSwitch

MOST_S = 300
"""The longest sound of one piece. A voice that makes more of it is broken, or made to harm."""

_PEAK = 32767.0


class Network:
    """One loaded voice. Several threads may speak with it."""

    def __init__(self, folder: Path, threads: int) -> None:
        self._network = OnnxNetwork(folder / "voice.onnx", threads)

    def __repr__(self) -> str:
        return "<Network>"

    def speak(
        self, piece: Piece, speaker: int, scales: tuple[float, float, float], stop: StopSwitch
    ) -> NDArray[np.float32]:
        """Return the sound of a piece. `scales` are noise, length and rhythm. Raise EngineFailed."""
        values: dict[str, Any] = {
            INPUT: np.array([piece.numbers], np.int64),
            LENGTHS: np.array([len(piece.numbers)], np.int64),
            SCALES: np.array(scales, np.float32),
        }
        if SPEAKER in self._network.inputs:
            values[SPEAKER] = np.array([speaker], np.int64)
        sound = self._network.run(OUTPUT, values, stop)
        return np.asarray(sound, np.float32).reshape(-1)


def pcm_of(sound: NDArray[np.float32], rate_hz: int, wanted_hz: int) -> bytes:
    """Return a sound as 16-bit samples at another rate. Raise EngineFailed if it is absurd."""
    if len(sound) > MOST_S * rate_hz:
        raise EngineFailed(f"The voice's network made more than {MOST_S} seconds of one sentence.")
    fitted = _resample(sound, rate_hz, wanted_hz) if rate_hz != wanted_hz else sound
    clean = np.nan_to_num(np.clip(fitted, -1.0, 1.0))
    return (clean * _PEAK).astype("<i2").tobytes()


def _resample(sound: NDArray[np.float32], rate_hz: int, wanted_hz: int) -> NDArray[np.float32]:
    """Resample a whole piece by its spectrum. Its ends are quiet, so that they may meet."""
    spectrum = np.fft.rfft(sound)
    length = round(len(sound) * wanted_hz / rate_hz)
    fitted = np.zeros(length // 2 + 1, spectrum.dtype)
    kept = min(len(fitted), len(spectrum))
    fitted[:kept] = spectrum[:kept]
    return np.asarray(np.fft.irfft(fitted, length) * (wanted_hz / rate_hz), np.float32)
