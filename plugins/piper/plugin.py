"""The front of the Piper engine: its settings, and where its worker runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

import msgspec

from plugins.piper.voice_format import MODEL_FORMAT
from speech_engine.imported_voices import OnnxSettings, onnx_host
from speech_engine.names import share_voices
from speech_engine.plugin import Plugin, missing_model

_Scale = Annotated[float, msgspec.Meta(ge=0.0, le=2.0)] | None


class PiperSettings(OnnxSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`voices` are the imported voices to use, the default first. Without any, all are used.

    The server sets `model_paths` to their folders. Voices are loaded on demand, into `voices_mb` megabytes.
    Each text has one thread, as several take more of the processor. `noise` and `rhythm` replace the voices'
    own randomness. If both are 0, a text always sounds the same.
    """

    texts_a_core: ClassVar[int] = 4

    threads: Annotated[int, msgspec.Meta(ge=0, le=64)] = 1
    voices: tuple[str, ...] = ()
    model_paths: tuple[str, ...] = ()
    voices_mb: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = 1024
    noise: _Scale = None
    rhythm: _Scale = None


HOSTED = onnx_host("plugins.piper.worker")

missing = missing_model(
    "voxgate models pull kristin, or another of voxgate models search; or models import for your own",
    "model_paths",
    "no voice has been imported",
)


def voxgate_register() -> tuple[Plugin[PiperSettings], ...]:
    return (
        Plugin(
            kind="engine",
            name="piper",
            settings=PiperSettings,
            create=HOSTED,
            missing=missing,
            model_format=MODEL_FORMAT,
            gallery=str(Path(__file__).with_name("gallery.toml")),
            names=share_voices,
        ),
    )
