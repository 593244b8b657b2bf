"""The front of the Whisper engine: its settings, and where its worker runs."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from plugins.whisper.model_format import MODEL_FORMAT
from speech_engine.plugin import Hosted, Plugin, missing_model

Compute = Literal["int8", "int8_float32", "float32"]


class WhisperSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`slots` recordings are heard in turn, window by window, on `threads` of the processor. With a `beam`
    above 1, several texts are followed at once. `language` is that of recordings whose language is not named;
    without it, it is found. `model_path` is the folder of the model; the server fills it in for an imported
    one."""

    model_path: str = ""
    slots: Annotated[int, msgspec.Meta(ge=1, le=64)] = 8
    threads: Annotated[int, msgspec.Meta(ge=1, le=2)] = 1
    compute: Compute = "int8"
    beam: Annotated[int, msgspec.Meta(ge=1, le=10)] = 1
    language: str = ""


_OTHER_NAMES = {"nb": "no", "fil": "tl", "jv": "jw", "iw": "he"}


def other_names(languages: Collection[str]) -> list[str]:
    """Return the other names of these languages of Whisper's."""
    return [other for other, name in _OTHER_NAMES.items() if name in languages]


def whisper_language(tag: str) -> str:
    """Return Whisper's name of a language, of any region."""
    base = tag.partition("-")[0].lower()
    return _OTHER_NAMES.get(base, base)


HOSTED = Hosted(
    module="plugins.whisper.worker",
    # faster-whisper brings Silero's network; PyAV comes along, and decodes nothing here.
    packages=("faster-whisper==1.2.1", "ctranslate2>=4.8.5,<5", "onnxruntime>=1.31.1,<2", "numpy>=2,<3"),
    constraints="constraints.txt",
    imports=("faster_whisper.vad",),
    memory_mb=16_384,
)


def voxgate_register() -> tuple[Plugin[WhisperSettings], ...]:
    return (
        Plugin(
            kind="engine",
            name="whisper",
            settings=WhisperSettings,
            create=HOSTED,
            missing=missing_model('voxgate models pull whisper-base, then model = "whisper-base"'),
            model_format=MODEL_FORMAT,
            gallery=str(Path(__file__).with_name("gallery.toml")),
        ),
    )
