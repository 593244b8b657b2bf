"""The plugin of the ElevenLabs engine. It has no worker: all of it is light and runs in the server."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from speech_engine.plugin import Plugin, created_late

Switch = Annotated[bool, msgspec.Meta(description="true or false")]
Unit = Annotated[float, msgspec.Meta(ge=0, le=1, description="a number from 0 to 1")]
Mp3 = Literal[
    "mp3_22050_32",
    "mp3_24000_48",
    "mp3_44100_32",
    "mp3_44100_64",
    "mp3_44100_96",
    "mp3_44100_128",
    "mp3_44100_192",
]
ConversionPath = Literal["voice-changer", "speech-to-speech"]


class ElevenLabsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings; README.md has a line for each. If a value is None, the voice's own setting holds."""

    api_key: str
    base_url: Annotated[
        str,
        msgspec.Meta(pattern=r"^https?://[^\s?#]+$", description="an address like https://api.elevenlabs.io"),
    ] = "https://api.elevenlabs.io"
    models: tuple[str, ...] = ()
    transcribes: tuple[str, ...] = ("scribe_v2",)
    mp3: Annotated[Mp3, msgspec.Meta(description="one of ElevenLabs' MP3 formats, e.g. mp3_44100_128")] = (
        "mp3_44100_128"
    )
    word_times: Switch = False
    stability: Unit | None = None
    similarity_boost: Unit | None = None
    style: Unit | None = None
    use_speaker_boost: Switch | None = None
    text_normalization: Annotated[
        Literal["auto", "on", "off"], msgspec.Meta(description="auto, on or off")
    ] = "auto"
    enable_logging: Switch = True
    conversion_path: Annotated[
        ConversionPath, msgspec.Meta(description="voice-changer or speech-to-speech")
    ] = "voice-changer"

    def __repr__(self) -> str:
        return f"<ElevenLabsSettings {self.base_url}>"

    @property
    def mp3_hz(self) -> int:
        return int(self.mp3.split("_")[1])

    @property
    def mp3_bits_per_s(self) -> int:
        return int(self.mp3.rpartition("_")[2]) * 1000


def voxgate_register() -> tuple[Plugin[ElevenLabsSettings], ...]:
    create = created_late("plugins.elevenlabs.engine")
    return (
        Plugin(kind="engine", name="elevenlabs", settings=ElevenLabsSettings, create=create, clones=True),
    )
