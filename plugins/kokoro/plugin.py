"""The front of the Kokoro engine: its settings, and where its worker runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from plugins.kokoro.model_format import MODEL_FORMAT
from speech_engine.names import share_voices
from speech_engine.plugin import Hosted, Plugin, missing_model


class KokoroSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`model_path` is the folder of the model; the server fills it in for an imported one.

    `slots` texts are spoken at once, each with `threads` of the processor. `pause_ms` is the pause after a
    sentence.
    """

    model_path: str = ""
    slots: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    threads: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    pause_ms: Annotated[int, msgspec.Meta(ge=0, le=2000)] = 100


HOSTED = Hosted(
    module="plugins.kokoro.worker",
    packages=("onnxruntime>=1.31.1,<2", "numpy>=2,<3"),
    # Only its reading of texts is used. What else it asks for serves its commands.
    bare=("piper-tts==1.8.0",),
    constraints="constraints.txt",
    imports=("piper.espeakbridge",),
    # A model that asks for absurd amounts of memory fails alone, and not the machine.
    memory_mb=16_384,
)


missing = missing_model(
    'voxgate models pull kokoro-int8, then model = "kokoro-int8"; or models import for files of yours'
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
