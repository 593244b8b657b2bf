"""The front of the embedded voice. It declares the engine, whose worker has its own process."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import msgspec

from plugins.espeak.voices import OPENAI_NAMES, VOICES
from speech_engine import Hosted, Plugin
from speech_engine.plugin import Missing


class EspeakSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The engine's section in config.toml. Everything has a default that works.

    `library` and `data` name another build of espeak-ng (1.52 or later) instead of the package's build.
    """

    volume: Annotated[int, msgspec.Meta(ge=0, le=200)] = 100
    intonation: Annotated[int, msgspec.Meta(ge=0, le=99)] = 50
    word_gap_ms: Annotated[int, msgspec.Meta(ge=0, le=2000)] = 0
    library: str | None = None
    data: str | None = None


def missing(settings: EspeakSettings) -> tuple[Missing, ...]:
    """Return what is missing. The package's files are found but not loaded."""
    package = find_spec("espeakng_loader")
    folder = Path(package.origin).parent if package is not None and package.origin else None
    if folder is None and None in (settings.library, settings.data):
        do = "install espeakng-loader, or set `library` and `data` of the engine to another build"
        return (Missing("espeak-ng is not installed", do),)
    # The package uses these names. If there is no such package, both settings are set.
    library = Path(settings.library or (folder or Path()) / "libespeak-ng.so")
    data = Path(settings.data or (folder or Path()) / "espeak-ng-data")
    again = "install espeakng-loader again, or mend the setting"
    return (
        *(() if library.is_file() else (Missing(f"`library`: there is no file {library}", again),)),
        *(() if data.is_dir() else (Missing(f"`data`: there is no folder {data}", again),)),
    )


def voxgate_register() -> tuple[Plugin[EspeakSettings], ...]:
    return (
        Plugin(
            kind="engine",
            name="espeak",
            settings=EspeakSettings,
            create=Hosted("plugins.espeak.worker", memory_mb=2048, keeps_one_core=True),
            missing=missing,
            names=lambda _settings: OPENAI_NAMES,
            voices=VOICES,
        ),
    )
