"""MiniMax's bounds for a request for speech. A broken bound is code 2013. Unknown names pass."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args

import msgspec

MOST_CHARACTERS = 9_999
INVALID = 2013

_Emotion = Literal[
    "happy", "sad", "angry", "fearful", "disgusted", "surprised", "calm", "fluent", "whisper", None
]
_PAUSE = re.compile(r"<#(\d+(?:\.\d{1,2})?)#>")
_PAUSES_IN_A_ROW = re.compile(rf"{_PAUSE.pattern}\s*{_PAUSE.pattern}")
_NAMES = """
auto Chinese Chinese,Yue English Arabic Russian Spanish French Portuguese German Turkish Dutch Ukrainian
Vietnamese Indonesian Japanese Italian Korean Thai Polish Romanian Greek Czech Finnish Hindi Bulgarian Danish
Hebrew Malay Persian Slovak Swedish Croatian Filipino Hungarian Norwegian Slovenian Catalan Nynorsk Tamil
Afrikaans
"""
LANGUAGES = frozenset(_NAMES.split())


class VoiceSetting(msgspec.Struct):
    voice_id: str = ""
    speed: Annotated[float, msgspec.Meta(ge=0.5, le=2)] = 1.0
    vol: Annotated[float, msgspec.Meta(gt=0, le=10)] = 1.0
    pitch: Annotated[int, msgspec.Meta(ge=-12, le=12)] = 0
    emotion: _Emotion = None
    text_normalization: bool = False
    latex_read: bool = False


class AudioSetting(msgspec.Struct):
    sample_rate: Literal[8000, 16000, 22050, 24000, 32000, 44100] = 32000
    bitrate: Literal[32000, 64000, 128000, 256000] = 128000
    format: Literal["mp3", "pcm", "flac", "wav", "pcmu_raw", "pcmu_wav", "opus"] = "mp3"
    channel: Literal[1, 2] = 1
    force_cbr: bool = False


class TimbreWeight(msgspec.Struct):
    voice_id: str
    weight: Annotated[int, msgspec.Meta(ge=1, le=100)]


class PronunciationDict(msgspec.Struct):
    tone: list[Annotated[str, msgspec.Meta(pattern="^[^/]+/[^/]+$")]] = []


class StreamOptions(msgspec.Struct):
    exclude_aggregated_audio: bool = False


class Speech(msgspec.Struct):
    model: Literal[
        "speech-2.8-hd",
        "speech-2.8-turbo",
        "speech-2.6-hd",
        "speech-2.6-turbo",
        "speech-02-hd",
        "speech-02-turbo",
        "speech-01-hd",
        "speech-01-turbo",
    ]
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=MOST_CHARACTERS)]
    stream: bool = False
    stream_options: StreamOptions = msgspec.field(default_factory=StreamOptions)
    output_format: Literal["hex", "url"] = "hex"
    voice_setting: VoiceSetting = msgspec.field(default_factory=VoiceSetting)
    audio_setting: AudioSetting = msgspec.field(default_factory=AudioSetting)
    language_boost: str | None = None
    pronunciation_dict: PronunciationDict | None = None
    timbre_weights: Annotated[list[TimbreWeight], msgspec.Meta(max_length=4)] = []

    @property
    def voices(self) -> list[str]:
        return [each.voice_id for each in self.timbre_weights] or [self.voice_setting.voice_id]


def speech(raw: Any) -> Speech:
    """Return the request. Raises ValidationError, which names the field, if the request breaks a bound."""
    request = msgspec.convert(raw, Speech)
    if request.voice_setting.emotion == "whisper" and "-2.8-" in request.model:
        raise msgspec.ValidationError("voice_setting.emotion")
    if request.language_boost is not None and request.language_boost not in LANGUAGES:
        raise msgspec.ValidationError("language_boost")
    if not any(request.voices):
        raise msgspec.ValidationError("voice_setting.voice_id")
    if request.stream and request.audio_setting.format in ("wav", "pcmu_wav"):
        raise msgspec.ValidationError("audio_setting.format: not with stream")
    _check_pauses(request.text)
    return request


def unknown(raw: Any, type_: type[msgspec.Struct] = Speech, path: str = "") -> Iterator[str]:
    """Yield the names that MiniMax would ignore silently, also inside other fields."""
    if not isinstance(raw, dict):
        return
    fields = {field.encode_name: field for field in msgspec.structs.fields(type_)}
    for name, value in raw.items():
        if name not in fields:
            yield path + name
            continue
        for inner in _structs(fields[name].type):
            for each in value if isinstance(value, list) else [value]:
                yield from unknown(each, inner, f"{path}{name}.")


def _structs(annotation: Any) -> Iterator[type[msgspec.Struct]]:
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        yield annotation
    for inner in get_args(annotation):
        yield from _structs(inner)


def without_pauses(text: str) -> list[tuple[str, float]]:
    """Split the text at its pause marks. Return each part with the seconds of silence after it."""
    parts = _PAUSE.split(text)
    return [(part, float(pause)) for part, pause in zip(parts[::2], [*parts[1::2], "0"], strict=True)]


def _check_pauses(text: str) -> None:
    if _PAUSES_IN_A_ROW.search(text):
        raise msgspec.ValidationError("text: two pauses in a row")
    if any(not 0.01 <= float(pause) <= 99.99 for pause in _PAUSE.findall(text)):
        raise msgspec.ValidationError("text: a pause is from 0.01 to 99.99 seconds")
