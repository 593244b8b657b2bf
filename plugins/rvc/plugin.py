"""The front of the RVC engine: its settings, and where its worker runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from plugins.rvc.model_format import MODEL_FORMAT, TRAINED_FORMAT
from speech_engine.host.batch_model import TorchSettings
from speech_engine.plugin import Hosted, Plugin, missing_model

Precision = Literal["float32", "float16"]
_Count = Annotated[int, msgspec.Meta(ge=1)]


class RvcSettings(TorchSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Below float32 `precision`, a recording sounds a little different in other company.

    `voices_mb` is the memory for loaded voices. `width` is in seconds, with context.
    """

    precision: Precision = "float32"
    voices_mb: Annotated[int, msgspec.Meta(ge=64)] = 2048
    rows: _Count = 64
    width: _Count = 48
    joins_per_step: _Count = 16
    first_audio_s: Annotated[float, msgspec.Meta(gt=0.0)] = 0.5


HOSTED = Hosted(
    module="plugins.rvc.worker",
    packages=(
        "torch==2.13.0",
        "numpy>=2,<3",
        "scipy>=1.17,<2",
        "safetensors>=0.8,<1",
        "transformers==5.23.0",
        "praat-parselmouth==0.4.7",
        # For the export of voices.
        "onnx>=1.23,<2",
        "onnxruntime>=1.31.1,<2",
    ),
    # rvc requires packages for training, a web page and other models.
    bare=("rvc==0.3.5",),
    constraints="constraints.txt",
    devices=("cpu", "cuda", "rocm"),
    trainer="plugins.rvc.trainer",
)


missing = missing_model(
    'voxgate models pull content-vec, then model = "content-vec"; or models import for files of yours'
)


def voxgate_register() -> tuple[Plugin[RvcSettings], ...]:
    return (
        Plugin(
            kind="engine",
            name="rvc",
            settings=RvcSettings,
            create=HOSTED,
            missing=missing,
            model_format=MODEL_FORMAT,
            trained_format=TRAINED_FORMAT,
            gallery=str(Path(__file__).with_name("gallery.toml")),
        ),
    )
