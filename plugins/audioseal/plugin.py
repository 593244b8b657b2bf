"""The front of the mark: its settings, and where its worker runs."""

from __future__ import annotations

from typing import Annotated

import msgspec

from plugins.audioseal.model_format import MODEL_FORMAT
from speech_engine.plugin import Hosted, Plugin, missing_model


class AudioSealSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The server sets `model_path` for an imported model. `strength` scales the mark.

    A step uses `threads` of the processor.
    """

    model_path: str = ""
    strength: Annotated[float, msgspec.Meta(ge=0.5, le=2.0)] = 1.0
    threads: Annotated[int, msgspec.Meta(ge=1)] = 1


HOSTED = Hosted(
    module="plugins.audioseal.worker",
    packages=(
        "torch==2.13.0",
        "numpy>=2,<3",
        "safetensors>=0.8,<1",
        "omegaconf>=2.4,<3",
        "einops>=0.8,<1",
        "audioseal==0.2.0",
    ),
    constraints="constraints.txt",
)


missing = missing_model(
    'voxgate models import FOLDER --engine audioseal --name NAME --licence MIT, then model = "NAME"'
)


def voxgate_register() -> tuple[Plugin[AudioSealSettings], ...]:
    return (
        Plugin(
            kind="mark",
            name="audioseal",
            settings=AudioSealSettings,
            create=HOSTED,
            missing=missing,
            model_format=MODEL_FORMAT,
        ),
    )
