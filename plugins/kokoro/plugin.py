"""The front of the Kokoro engine: its settings, and where its worker runs."""

from __future__ import annotations

from pathlib import Path

from plugins.kokoro.model_format import MODEL_FORMAT
from speech_engine.imported_voices import OnnxSettings, onnx_host
from speech_engine.names import share_voices
from speech_engine.plugin import Plugin, missing_model


class KokoroSettings(OnnxSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`model_path` is the folder of the model; the server fills it in for an imported one."""

    model_path: str = ""


HOSTED = onnx_host("plugins.kokoro.worker")

missing = missing_model(
    'voxgate models pull kokoro-voices, then model = "kokoro-voices"; or models import for files of yours'
)


def voxgate_register() -> tuple[Plugin[KokoroSettings], ...]:
    return (
        Plugin(
            kind="engine",
            name="kokoro",
            settings=KokoroSettings,
            create=HOSTED,
            missing=missing,
            model_format=MODEL_FORMAT,
            gallery=str(Path(__file__).with_name("gallery.toml")),
            names=share_voices,
        ),
    )
