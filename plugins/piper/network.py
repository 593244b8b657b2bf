"""A voice's network in onnxruntime: numbers in, sound out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as faults

from plugins.piper.reading import Piece
from plugins.piper.voice_format import INPUT, LENGTHS, OUTPUT, SCALES, SPEAKER
from speech_engine import EngineFailed

MOST_S = 300
"""The longest sound of one piece. A voice that makes more of it is broken, or made to harm."""

_FAULTS = tuple(
    each for each in vars(faults).values() if isinstance(each, type) and issubclass(each, Exception)
)
"""The runtime's errors have no class in common."""
_PEAK = 32767.0
_NOT_TOLD = 4
"""The level of onnxruntime's log that tells nothing but its end: a message could quote what is spoken."""


class StopSwitch:
    """Ends a run of a network, from another thread. The network stops after the operator that it computes."""

    def __init__(self) -> None:
        self.options = onnxruntime.RunOptions()

    def __repr__(self) -> str:
        return f"<StopSwitch {'on' if self.options.terminate else 'off'}>"

    def stop(self) -> None:
        self.options.terminate = True


class Network:
    """One loaded voice. Several threads may speak with it."""

    def __init__(self, folder: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        # A number of our own: with its default, it would bind threads to cores, which a host may not.
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _NOT_TOLD
        # Texts differ in length. What it keeps for the longest one so far would never be given back.
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # From memory: so no path in the file can lead anywhere.
        data = (folder / "voice.onnx").read_bytes()
        try:
            self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except _FAULTS as error:
            raise EngineFailed("onnxruntime does not take the voice.", detail=str(error)[:300]) from None
        self._takes_speaker = any(each.name == SPEAKER for each in self._session.get_inputs())

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
        if self._takes_speaker:
            values[SPEAKER] = np.array([speaker], np.int64)
        try:
            sound = self._session.run([OUTPUT], values, stop.options)[0]
        except _FAULTS as error:
            raise EngineFailed(f"The voice's network failed: {type(error).__name__}.") from None
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
