"""The front of the Piper engine: its settings, and where its worker runs."""

from __future__ import annotations

from typing import Annotated

import msgspec

from plugins.piper.voice_format import MODEL_FORMAT
from speech_engine.plugin import Hosted, Missing, Plugin

_Scale = Annotated[float, msgspec.Meta(ge=0.0, le=2.0)] | None


class PiperSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`voices` are the imported ones to speak with, the default first. Without any, all of them speak.

    `model_paths` are their folders; the server fills them in. `slots` texts are spoken at once, each with
    `threads` of the processor. Voices are loaded when they are needed, into `voices_mb` megabytes at most.
    `noise` and `rhythm` replace the voices' own scales of chance: if both are 0, a text always sounds alike.
    `pause_ms` is the pause after a sentence.
    """

    voices: tuple[str, ...] = ()
    model_paths: tuple[str, ...] = ()
    slots: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    threads: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    voices_mb: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = 1024
    noise: _Scale = None
    rhythm: _Scale = None
    pause_ms: Annotated[int, msgspec.Meta(ge=0, le=2000)] = 200


HOSTED = Hosted(
    module="plugins.piper.worker",
    packages=("onnxruntime>=1.20,<2", "numpy>=2,<3"),
    # Only its reading of texts is used. What else it asks for serves its commands.
    bare=("piper-tts==1.8.0",),
    constraints="constraints.txt",
    imports=("piper.espeakbridge",),
    # A voice that asks for absurd amounts of memory fails alone, and not the machine.
    memory_mb=16_384,
)


def missing(settings: PiperSettings) -> tuple[Missing, ...]:
    """Return the want of a voice, if none has been imported."""
    do = "voxgate models import FILE.onnx --engine piper --name NAME --licence LICENCE"
    return () if settings.model_paths else (Missing("no voice has been imported", do),)


def voxgate_register() -> tuple[Plugin[PiperSettings], ...]:
    return (
        Plugin(
            kind="engine",
            name="piper",
            settings=PiperSettings,
            create=HOSTED,
            missing=missing,
            model_format=MODEL_FORMAT,
        ),
    )
