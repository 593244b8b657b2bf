"""The front of the F5-TTS engine: its settings, and where its worker runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from plugins.f5tts.model_format import MODEL_FORMAT, stated_version
from speech_engine.host.batch_model import TorchSettings
from speech_engine.model_files import FolderContents, UnusableModel
from speech_engine.plugin import Hosted, Missing, Plugin, missing_model

Version = Literal["v1", "v0"]
Precision = Literal["float32", "bfloat16", "float16"]
_Count = Annotated[int, msgspec.Meta(ge=1)]


class F5Settings(TorchSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`version` is "v0" for checkpoints trained from F5TTS_Base, and "v1" for those from F5TTS_v1_Base.

    A higher `cfg` follows text and recording more strictly. Below float32 `precision`, a text sounds a little
    different in other company. `width` is in seconds, with recordings.
    """

    version: Version = "v1"
    cfg: Annotated[float, msgspec.Meta(ge=0.1, le=10.0)] = 2.0
    precision: Precision = "float32"
    width: _Count = 64
    joins_per_step: _Count = 16
    first_audio_s: Annotated[float, msgspec.Meta(gt=0.0)] = 0.6


HOSTED = Hosted(
    module="plugins.f5tts.worker",
    packages=(
        "torch==2.13.0",
        "numpy>=2,<3",
        "scipy>=1.17,<2",
        "safetensors>=0.8,<1",
        "x-transformers==2.31.10",
    ),
    # f5-tts requires packages for training and a web page. torchaudio would install another torch.
    bare=(
        "f5-tts==1.1.22",
        "vocos==0.1.0",
        "torchaudio==2.11.0",
        "rjieba==0.2.2",
        "pypinyin==0.55.0",
        "torchdiffeq==0.2.5",
    ),
    constraints="constraints.txt",
    devices=("cpu", "cuda", "rocm"),
)


_no_model = missing_model(
    'voxgate models pull f5-tts, then model = "f5-tts"; or models import for files of yours'
)


def missing(settings: F5Settings) -> tuple[Missing, ...]:
    """Return whether the model is missing, or `version` differs from the model's."""
    if lacking := _no_model(settings):
        return lacking
    try:
        stated = stated_version(FolderContents(MODEL_FORMAT.files, Path(settings.model_path)))
    except UnusableModel:
        return ()  # the engine says what is wrong with its files
    if stated in ("", settings.version):
        return ()
    return (
        Missing(f"its model is of {stated}, and version is {settings.version}", f'set version = "{stated}"'),
    )


def voxgate_register() -> tuple[Plugin[F5Settings], ...]:
    return (
        Plugin(
            kind="engine",
            name="f5tts",
            settings=F5Settings,
            create=HOSTED,
            missing=missing,
            model_format=MODEL_FORMAT,
            gallery=str(Path(__file__).with_name("gallery.toml")),
        ),
    )
