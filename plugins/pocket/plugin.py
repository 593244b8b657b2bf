"""The front of the Pocket engine: its settings, and where its worker runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from plugins.pocket.model_format import MODEL_FORMAT
from speech_engine.host.batch_model import BatchSettings
from speech_engine.plugin import Hosted, Plugin, missing_model

_Count = Annotated[int, msgspec.Meta(ge=1, le=256)]


class PocketSettings(BatchSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`models` are the imported models to use, the default first. Without any, all are used.

    The server sets `model_paths` to their folders. Models are loaded on demand, into `models_mb` megabytes. A
    step uses `threads` of the processor.
    """

    models: tuple[str, ...] = ()
    model_paths: tuple[str, ...] = ()
    models_mb: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = 4096
    threads: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    slots: _Count = 16
    rows: _Count = 16
    width: _Count = 8


HOSTED = Hosted(
    module="plugins.pocket.worker",
    packages=(
        "torch==2.13.0",
        "numpy>=2,<3",
        "scipy>=1.17,<2",
        "safetensors>=0.8,<1",
        "tokenizers>=0.23,<0.24",
        "sentencepiece>=0.2.1,<0.3",
        "huggingface_hub>=2,<3",
        "pydantic>=2,<3",
        "requests>=2.32,<3",
        "PyYAML>=6,<7",
        "typing-extensions>=4.10",
        "einops>=0.8,<1",
    ),
    # pocket-tts also requires a web server and a command line, but not PyYAML, which it needs.
    bare=("pocket-tts==4.0.1",),
    constraints="constraints.txt",
    # A recording that needs too much memory fails alone.
    memory_mb=32_768,
)


missing = missing_model(
    "voxgate voices own en, or another of voxgate models search pocket",
    "model_paths",
    "no model has been imported",
)


def voxgate_register() -> tuple[Plugin[PocketSettings], ...]:
    return (
        Plugin(
            kind="engine",
            name="pocket",
            settings=PocketSettings,
            create=HOSTED,
            missing=missing,
            model_format=MODEL_FORMAT,
            gallery=str(Path(__file__).with_name("gallery.toml")),
        ),
    )
