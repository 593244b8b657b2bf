"""Declare the minimax plugin: a cloud engine that runs in the server itself."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from speech_engine.plugin import Plugin, created_late
from speech_engine.redacted import Redacted

_Switch = Annotated[bool, msgspec.Meta(description="true or false")]
_Pronunciation = Annotated[str, msgspec.Meta(pattern=r"^[^/]+/[^/]+\Z")]


class MinimaxSettings(Redacted, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The engine's section. README.md explains each setting."""

    api_key: str
    base_url: Annotated[
        str,
        msgspec.Meta(pattern=r"^https?://[^\s?#]+\Z", description='an address, "https://…", without /v1'),
    ] = "https://api.minimax.io"
    group_id: Annotated[str, msgspec.Meta(pattern=r"^\d*\Z", description="a text of digits, or none")] = ""
    stream: _Switch = True
    silence_s: Annotated[
        float, msgspec.Meta(gt=0, le=600, description="a number of seconds, above 0 and up to 600")
    ] = 15.0
    bitrate: Annotated[
        Literal[32_000, 64_000, 128_000], msgspec.Meta(description="32000, 64000 or 128000")
    ] = 128_000
    volume: Annotated[float, msgspec.Meta(gt=0, le=10, description="a number above 0, up to 10")] = 1.0
    text_normalization: _Switch = False
    pronunciations: Annotated[
        tuple[_Pronunciation, ...], msgspec.Meta(description='a list of texts, ["word/spoken as", "…"]')
    ] = ()
    own_voices: _Switch = False


def voxgate_register() -> tuple[Plugin[MinimaxSettings], ...]:
    create = created_late("plugins.minimax.engine")
    return (Plugin(kind="engine", name="minimax", settings=MinimaxSettings, create=create, clones=True),)
