"""Tiny voices of Piper's layout that speak in tones: each symbol is a tone of its own, for a time of its own.

A tone's pitch says which symbol it is, and each voice and speaker has pitches of its own. So `heard` can tell
from a server's answer who spoke what, and how fast.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests import onnx_bytes as onnx

RATE_HZ = 22_050
TONE_SAMPLES = 1_024
"""Of one symbol at the usual speed. Pads last as long."""
BASE_HZ, STEP_HZ = 1_000.0, 22_050 / 512
SYMBOLS = (
    "_^$ !'(),-.:;?abcdefghijklmnopqrstuvwxyz"
    "\u00e6\u00f0\u014b\u0250\u0251\u0254\u0259\u025a\u025b\u025c\u0261\u026a\u026b\u0279\u027e\u0281"
    "\u0283\u028a\u028c\u0292\u0294\u02c8\u02cc\u02d0\u03b8\u1d7b\u0303\u02b2"
)
"""Small letters, marks, and the sounds of English and Portuguese that are no letters."""
SPEAKER_HZ = 15.0
"""How much higher each speaker of one file is than the one before. Voices differ by the base."""


def voice(
    folder: Path,
    name: str = "tiny",
    *,
    language: str = "en_US",
    espeak_voice: str = "en-us",
    speakers: Sequence[str] = (),
    base_hz: float = BASE_HZ,
    rate_hz: int = RATE_HZ,
    reading: str = "espeak",
    weight: int = 0,
    work: int = 0,
) -> Path:
    """Write a voice, and return its `.onnx`. `weight` bytes of it are dead; `work` repeats its work."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.onnx"
    path.write_bytes(network(len(speakers), base_hz, rate_hz, weight, work))
    made = config(language, espeak_voice, speakers, rate_hz, reading)
    path.with_name(f"{path.name}.json").write_text(json.dumps(made))
    return path


def config(
    language: str = "en_US",
    espeak_voice: str = "en-us",
    speakers: Sequence[str] = (),
    rate_hz: int = RATE_HZ,
    reading: str = "espeak",
) -> dict[str, Any]:
    return {
        "audio": {"sample_rate": rate_hz, "quality": "tiny"},
        "espeak": {"voice": espeak_voice},
        "language": {"code": language, "family": language[:2]},
        "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8},
        "phoneme_type": reading,
        "phoneme_map": {},
        "phoneme_id_map": {symbol: [number] for number, symbol in enumerate(SYMBOLS)},
        "num_symbols": len(SYMBOLS),
        "num_speakers": max(1, len(speakers)),
        "speaker_id_map": {name: number for number, name in enumerate(speakers)},
    }


def network(
    speakers: int = 0,
    base_hz: float = BASE_HZ,
    rate_hz: int = RATE_HZ,
    weight: int = 0,
    work: int = 0,
    more: Sequence[bytes] = (),
) -> bytes:
    """A model whose sound is sin(2 pi f t) for each symbol. The length scale stretches the symbols' times."""
    turn = 2 * math.pi / rate_hz
    nodes = [
        onnx.node("Gather", "pitches input", "steps"),  # [1, N]
        onnx.node("Cast", "sid", "speaker", onnx.attribute("to", onnx.FLOAT))
        if speakers
        else onnx.node("Identity", "nobody", "speaker"),
        onnx.node("Mul", "speaker higher", "shift"),
        onnx.node("Add", "steps shift", "pitch"),
        onnx.node("Unsqueeze", "pitch last", "pitch_column"),  # [1, N, 1]
        onnx.node("Gather", "scales place", "length"),
        onnx.node("Mul", "length samples", "stretched"),
        onnx.node("Range", "zero stretched one", "times"),  # [S]
        onnx.node("Mul", "pitch_column times", "phases"),  # [1, N, S]
        onnx.node("Sin", "phases", "sound_0"),
        *(_again(number) for number in range(work)),
        onnx.node("Mul", f"sound_{work} loudness", "quiet"),
        onnx.node("Reshape", "quiet whole", "output"),
        *more,
    ]
    tensors = [
        onnx.floats("pitches", [turn * (base_hz + STEP_HZ * number) for number in range(len(SYMBOLS))]),
        onnx.scalar("higher", turn * SPEAKER_HZ),
        onnx.scalar("nobody", 0.0),
        onnx.int_scalar("place", 1),
        onnx.scalar("samples", TONE_SAMPLES * rate_hz / RATE_HZ),
        onnx.scalar("zero", 0.0),
        onnx.scalar("one", 1.0),
        onnx.scalar("loudness", 0.3),
        onnx.ints("last", [2]),
        onnx.ints("whole", [1, 1, 1, -1]),
        onnx.floats("dead", [0.5] * (weight // 4)),
    ]
    inputs = [
        onnx.value("input", onnx.INT64, "batch", "phonemes"),
        onnx.value("input_lengths", onnx.INT64, "batch"),
        onnx.value("scales", onnx.FLOAT, 3),
        *([onnx.value("sid", onnx.INT64, "batch")] if speakers else ()),
    ]
    outputs = [onnx.value("output", onnx.FLOAT, "batch", 1, 1, "time")]
    return onnx.model(onnx.graph(nodes, tensors, inputs, outputs))


def _again(number: int) -> bytes:
    """An operator that costs time. What is heard then is no tone any more."""
    return onnx.node("Sin", f"sound_{number}", f"sound_{number + 1}")


def heard(
    pcm: bytes,
    rate_hz: int = RATE_HZ,
    speed: float = 1.0,
    base_hz: float = BASE_HZ,
    symbols: str = SYMBOLS,
) -> str:
    """Return the symbols of an answer without its pads. A pitch that is not the voice's own is `#`."""
    sound = np.frombuffer(pcm, "<i2").astype(np.float64)
    size = TONE_SAMPLES / speed * rate_hz / RATE_HZ
    found = []
    for at in range(round(len(sound) / size)):
        piece = sound[round(at * size) : round((at + 1) * size)]
        is_loud = np.abs(piece).max(initial=0) > 1000
        found.append(_symbol(_pitch(piece, rate_hz), base_hz, symbols) if is_loud else "")
    return "".join(found).replace("_", "")


def pitch(pcm: bytes, rate_hz: int = RATE_HZ) -> float:
    """Return the pitch of an answer's first tone, which every text begins with."""
    sound = np.frombuffer(pcm, "<i2").astype(np.float64)
    return _pitch(sound[: round(TONE_SAMPLES * rate_hz / RATE_HZ)], rate_hz)


def _pitch(piece: NDArray[np.float64], rate_hz: int) -> float:
    spectrum = np.abs(np.fft.rfft(piece * np.hanning(len(piece)), 1 << 16))
    return float(np.argmax(spectrum) * rate_hz / (1 << 16))


def _symbol(pitch_hz: float, base_hz: float, symbols: str) -> str:
    number = (pitch_hz - base_hz) / STEP_HZ
    nearest = round(number)
    return symbols[nearest] if 0 <= nearest < len(symbols) and abs(number - nearest) < 0.15 else "#"
