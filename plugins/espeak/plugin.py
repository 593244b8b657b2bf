"""The front of the embedded voice: declares the espeak engine, whose worker runs in a process of its own."""

from __future__ import annotations

from typing import Annotated

import msgspec

from speech_engine import Hosted, Plugin


class EspeakSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The engine's section in config.toml; everything has a default that works.

    `library` and `data` name another build of espeak-ng (1.52 or later) than the one the extra brings.
    """

    volume: Annotated[int, msgspec.Meta(ge=0, le=200)] = 100
    intonation: Annotated[int, msgspec.Meta(ge=0, le=99)] = 50
    word_gap_ms: Annotated[int, msgspec.Meta(ge=0, le=2000)] = 0
    library: str | None = None
    data: str | None = None


def voxgate_register() -> tuple[Plugin, ...]:
    return (
        Plugin(kind="engine", name="espeak", settings=EspeakSettings, create=Hosted("plugins.espeak.worker")),
    )
