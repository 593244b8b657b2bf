"""Files of trained voices for tests: tone's in JSON, and RVC's as its programs save them, without torch."""

import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from plugins.rvc.voice_rules import VoiceLayout, expected, read_layout
from speech_engine.model_files import TensorInfo
from speech_engine.model_files.torch_writer import write_archive

INNER: list[Any] = [1025, 32, 8, 16, 32, 2, 1, 3, 0, "1", [3], [[1, 3, 5]]]
CONFIG: list[Any] = [*INNER, [10, 10, 2, 2], 32, [16, 16, 4, 4], 1, 8, 40_000]


def tone_voice(pitch_hz: float = 220.0, **more: object) -> bytes:
    voice = {"format": "tone", "pitch_hz": pitch_hz, "brightness": 0.5, "seconds": 4.0, "step": 30}
    return json.dumps(voice | more).encode()


def rvc_voice(
    config: object = None,
    version: str = "v2",
    has_pitch: int = 1,
    values: Mapping[str, object] | None = None,
    first: bytes = b"\x01\x3c",
) -> bytes:
    """A small voice as RVC-WebUI saves it, with numbers that all are the same. Its `config` may be wrong."""
    layout: VoiceLayout = read_layout(CONFIG, version, has_pitch)
    tensors = {name: TensorInfo("F16", shape) for name, shape in expected(layout)}
    given = {
        "config": CONFIG if config is None else config,
        "info": "20epoch",
        "sr": "40k",
        "f0": has_pitch,
        "version": version,
    }
    made = BytesIO()
    write_archive(
        made,
        "weight",
        tensors,
        lambda info: (first * info.numbers,),
        {**given, **(values or {})},
    )
    return made.getvalue()
