"""The front of the OpenVoice engine: its settings, and where its worker runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from plugins.openvoice.model_format import MODEL_FORMAT
from speech_engine.host.batch_model import TorchSettings
from speech_engine.plugin import Hosted, Plugin, missing_model

_Count = Annotated[int, msgspec.Meta(ge=1)]


class OpenVoiceSettings(TorchSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`tau` is the share of noise in the sound, if the client names none. `width` is in seconds: a processor
    makes no sound cheaper in a wider step, and all listeners wait for it."""

    tau: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.3
    threads: _Count = 2
    width: _Count = 2
    first_audio_s: Annotated[float, msgspec.Meta(gt=0.0)] = 0.5


HOSTED = Hosted(
    module="plugins.openvoice.worker",
    packages=("onnxruntime>=1.31.1,<2", "numpy>=2,<3", "onnx>=1.23,<2"),
    constraints="constraints.txt",
)

missing = missing_model(
    'voxgate models pull openvoice-v2, then model = "openvoice-v2"; or models import for files of yours'
)


def voxgate_register() -> tuple[Plugin[OpenVoiceSettings], ...]:
    return (
        Plugin(
            kind="engine",
            name="openvoice",
            settings=OpenVoiceSettings,
            create=HOSTED,
            missing=missing,
            model_format=MODEL_FORMAT,
            gallery=str(Path(__file__).with_name("gallery.toml")),
        ),
    )
