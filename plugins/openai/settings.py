"""The settings that describe a server. README.md has their table."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from plugins.openai.lists import BUILT_IN
from plugins.openai.presets import PRESETS, Preset, PresetName, PresetVoice, preset_model
from plugins.openai.server import ServerSettings
from speech_engine import ANY_LANGUAGE, HEARING_HZ, Language, ModelInfo, Names, as_they_are
from speech_engine.licences import with_licence
from speech_engine.models import NEVER_PASSED

_Name = Annotated[str, Meta(min_length=1, max_length=256)]
_Factor = Annotated[float, Meta(gt=0, le=10)]
_Seconds = Annotated[float, Meta(gt=0, le=300)]
_Names = tuple[_Name, ...]
_OWN_FIELDS = {
    *("model", "input", "voice", "instructions", "response_format", "stream_format", "speed", "language"),
}
_NO_CLIENT_FIELD = "|".join(sorted(NEVER_PASSED | _OWN_FIELDS))
_ClientField = Annotated[str, Meta(pattern=rf"^(?!(?:{_NO_CLIENT_FIELD})\Z)[A-Za-z][A-Za-z0-9_]{{0,63}}\Z")]

SAMPLE_HZ = 24_000
"""The rate of the recordings that a request has."""
_RATE_HZ = 24_000
_MOST_CHARACTERS = 4096
_NO_PRESET = Preset({}, knows_names=True)

PASSED_ON = ("mp3", "opus", "aac")
"""The formats that voxgate can pass on as they came."""

Format = Literal["mp3", "opus", "aac", "pcm", "wav"]


class OpenAISettings(ServerSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings of one server. Each instance (a section with `plugin = "openai"`) is another server.

    A setting that is left at its default has the value of the preset, if the preset has one.
    """

    preset: Annotated[
        PresetName, Meta(description=f"one of {', '.join(PRESETS)}, or an empty text for none")
    ] = ""
    models: Annotated[_Names, Meta(description='a list of model names, such as ["tts-1"]')] = ()
    voices: Annotated[_Names, Meta(description='a list of voice ids, such as ["alloy"]')] = ()
    languages: Annotated[
        _Names, Meta(min_length=1, description='a list of language tags, or ["*"] for all')
    ] = (ANY_LANGUAGE,)
    formats: Annotated[
        tuple[Format, ...], Meta(min_length=1, description='a list of "mp3", "opus", "aac", "pcm" and "wav"')
    ] = ("mp3", "pcm")
    sample_rate_hz: Annotated[
        int, Meta(ge=8_000, le=48_000, description="a number of samples a second, 8000 to 48000")
    ] = _RATE_HZ
    stream: Annotated[Literal["audio", "sse"], Meta(description='"audio" or "sse"')] = "audio"
    extra: Annotated[dict[str, Any], Meta(description="a table of further fields of a request")] = (
        msgspec.field(default_factory=dict)
    )
    client_fields: Annotated[
        tuple[_ClientField, ...],
        Meta(
            max_length=32,
            description='a list of fields such as ["task_type"]; none that the plugin sets, and none that '
            "names a recording",
        ),
    ] = ()
    instructions: Annotated[_Names, Meta(description='a list of patterns such as ["gpt-4o-mini-tts*"]')] = (
        "*gpt-4o-mini-tts*",
    )
    max_instructions: Annotated[int, Meta(ge=1, le=4096, description="a number of characters, 1 to 4096")] = (
        4096
    )
    send_language: Annotated[bool, Meta(description="true or false")] = False
    max_characters: Annotated[
        int, Meta(ge=1, le=1_000_000, description="a number of characters, 1 to 1000000")
    ] = _MOST_CHARACTERS
    speed: Annotated[
        tuple[_Factor, _Factor],
        Meta(description="the slowest and the fastest speed it knows, such as [0.25, 4.0]"),
    ] = (0.25, 4.0)
    first_audio_s: Annotated[
        Annotated[float, Meta(gt=0, le=300)] | None, Meta(description="a number of seconds, up to 300")
    ] = None
    billed_on_submit: Annotated[bool, Meta(description="true or false")] = True
    is_local: Annotated[bool, Meta(description="true or false")] = False
    recordings: Annotated[
        Literal["none", "json", "form"], Meta(description='"none", "json" (ref_audio) or "form"')
    ] = "none"
    sample_s: Annotated[
        tuple[_Seconds, _Seconds],
        Meta(description="the shortest and the longest recording that it takes, such as [3.0, 30.0]"),
    ] = (3.0, 30.0)
    needs_sample_text: Annotated[bool, Meta(description="true or false")] = False
    licence: Annotated[str, Meta(description="the name of the models' licence")] = ""
    transcribes: Annotated[_Names, Meta(description='a list of model names, such as ["gpt-transcribe"]')] = ()
    times: Annotated[_Names, Meta(description='a list of patterns such as ["*whisper*"]')] = ("*whisper*",)
    translates: Annotated[_Names, Meta(description='a list of patterns such as ["whisper-1"]')] = (
        "whisper-1",
    )

    def __repr__(self) -> str:
        return f"<OpenAISettings {len(self.models)} models, {len(self.voices)} voices>"

    def __post_init__(self) -> None:
        defaults = {field.name: field.default for field in msgspec.structs.fields(type(self))}
        for name, expected in self.preset_facts.required.items():
            if getattr(self, name) == defaults[name]:
                raise ValueError(f"{name}: {expected}")
        for name, value in self.preset_facts.settings.items():
            if getattr(self, name) == (defaults[name] if name != "extra" else {}):
                msgspec.structs.force_setattr(self, name, value)
        if both := {*self.models} & {*self.transcribes}:
            raise ValueError(f"transcribes: without {min(both)}, which is in models")

    @property
    def preset_facts(self) -> Preset:
        return PRESETS[self.preset] if self.preset else _NO_PRESET

    def known_voice(self, id_: str) -> PresetVoice | None:
        return self.preset_facts.voice(id_)

    @property
    def model_list(self) -> str:
        """Return the path of the server's own list of models for speech, or an empty text."""
        return self.preset_facts.model_list

    @property
    def voice_field(self) -> str:
        return self.preset_facts.voice_field

    @property
    def first_voices(self) -> tuple[str, ...]:
        """Return the voices to offer until the server has listed its own."""
        return self.voices or self.preset_facts.unlisted

    def names(self) -> Names:
        """Return the answer for OpenAI's names. A server may know them all without listing them."""
        return as_they_are((*BUILT_IN, *self.voices) if self.preset_facts.knows_names else ())

    def request_model(self, id_: str, language: str) -> str:
        known = preset_model(self.preset, id_)
        if known is None or not known.by_language:
            return id_
        return known.by_language.format(language.partition("-")[0])

    def follows_instructions(self, id_: str) -> bool:
        return _is_one_of(id_, self.instructions)

    def rate_hz(self, id_: str) -> int:
        known = preset_model(self.preset, id_)
        return known.sample_rate_hz if known and self.sample_rate_hz == _RATE_HZ else self.sample_rate_hz

    def language_field(self, id_: str, tag: str) -> str | None:
        """Return what a request says as its `language`, or None if it has no such field."""
        known = preset_model(self.preset, id_)
        if known and known.language_names:
            return known.language_names.get(tag.partition("-")[0])
        return tag if self.send_language else None

    @property
    def uncompressed(self) -> Literal["pcm", "wav"]:
        """Return the format to request if voxgate encodes the answer itself."""
        return "wav" if "wav" in self.formats and "pcm" not in self.formats else "pcm"

    def model(self, id_: str, shutdown_date: str = "") -> ModelInfo:
        known = preset_model(self.preset, id_)
        is_any = self.languages == (ANY_LANGUAGE,)
        tags = known.languages if known and known.languages and is_any else self.languages
        own_length = known.max_characters if known and self.max_characters == _MOST_CHARACTERS else None
        made = ModelInfo(
            id=id_,
            shutdown_date=shutdown_date or self.shutdown_date(id_),
            languages=tuple(Language(tag) for tag in dict.fromkeys(tags)),
            sample_rate_hz=self.rate_hz(id_),
            formats=tuple(each for each in PASSED_ON if each in self.formats),
            max_characters=own_length or self.max_characters,
            joins_segments=True,
            max_instructions=self.max_instructions if self.follows_instructions(id_) else 0,
            client_fields=self.client_fields,
            speed=self.speed,
            billed_on_submit=self.billed_on_submit,
            is_local=self.is_local,
            first_audio_s=self.first_audio_s,
            licence=self.licence,
            speaks_samples=self.recordings != "none" and (known is None or known.clones),
            sample_s=self.sample_s,
            sample_hz=SAMPLE_HZ,
            needs_sample_text=self.needs_sample_text or (known is not None and known.needs_sample_text),
        )
        # A licence of the operator's own words stays as it is.
        return made if known is None or self.licence else with_licence([made], known.licence)[0]

    def hearing_model(self, id_: str, shutdown_date: str = "") -> ModelInfo:
        return ModelInfo(
            id=id_,
            shutdown_date=shutdown_date or self.shutdown_date(id_),
            languages=(Language("en" if id_.endswith(".en") else ANY_LANGUAGE),),
            sample_rate_hz=HEARING_HZ,
            speaks=False,
            hears=True,
            hears_all_first=True,
            times_words=_is_one_of(id_, self.times),
            translates=_is_one_of(id_, self.translates),
            units_a_minute=60.0,
            billed_on_submit=self.billed_on_submit,
            is_local=self.is_local,
            first_audio_s=self.first_audio_s,
            licence=self.licence,
        )


def _is_one_of(id_: str, patterns: _Names) -> bool:
    return any(fnmatchcase(id_, pattern) for pattern in patterns)
