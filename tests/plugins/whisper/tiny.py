"""A Whisper of CTranslate2's form, so tiny that it hears nothing: its check and its refusals need no more."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from plugins.whisper.model_format import MOST_TOKENS, WINDOW_FRAMES, _layer_shapes

WIDTH, BANDS, LAYERS = 4, 80, 2
TEXT = ("a", "b", "c")
SPECIAL = ("endoftext", "startoftranscript", "en", "translate", "transcribe", "startoflm", "startofprev")
LAST = ("nospeech", "notimestamps")


def words() -> list[str]:
    times = (f"{number * 0.02:.2f}" for number in range(WINDOW_FRAMES + 1))
    return [*TEXT, *(f"<|{each}|>" for each in (*SPECIAL, *LAST, *times))]


def shapes() -> dict[str, tuple[int, ...]]:
    made: dict[str, tuple[int, ...]] = {
        "encoder/conv1/weight": (WIDTH, BANDS, 3),
        "encoder/conv2/weight": (WIDTH, WIDTH, 3),
        "encoder/position_encodings/encodings": (WINDOW_FRAMES, WIDTH),
        "decoder/position_encodings/encodings": (MOST_TOKENS, WIDTH),
        "decoder/embeddings/weight": (len(words()), WIDTH),
    }
    for side in ("encoder", "decoder"):
        made[f"{side}/layer_norm/gamma"] = (WIDTH,)
        for layer in range(LAYERS):
            made |= {f"{side}/layer_{layer}/{name}": shape for name, shape in _layer_shapes(side, WIDTH)}
    return made


def weights(changed: Mapping[str, tuple[int, ...]] | None = None, value: float = 0.5) -> bytes:
    made = shapes() | dict(changed or {})
    parts = [struct.pack("<I", 6), _text("WhisperSpec"), struct.pack("<II", 3, len(made))]
    for name, shape in made.items():
        numbers = np.full(shape, value, np.float32).tobytes()
        parts += [_text(name), struct.pack(f"<B{len(shape)}I", len(shape), *shape)]
        parts += [struct.pack("<BI", 0, len(numbers)), numbers]
    parts += [struct.pack("<I", 1), _text("decoder/projection/weight"), _text("decoder/embeddings/weight")]
    return b"".join(parts)


def model(folder: Path, value: float = 0.5) -> Path:
    """Write a model as it is downloaded, and return its folder."""
    folder.mkdir(parents=True)
    (folder / "model.bin").write_bytes(weights(value=value))
    (folder / "config.json").write_text(json.dumps({"alignment_heads": [[0, 0], [1, 0]], "lang_ids": [9]}))
    (folder / "vocabulary.json").write_text(json.dumps(words()))
    added = [{"id": number, "content": word} for number, word in enumerate(words()) if number >= len(TEXT)]
    known = {word: number for number, word in enumerate(TEXT)}
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": known}, "added_tokens": added}))
    return folder


def _text(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"
