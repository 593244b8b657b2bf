"""The fields of a body for speech: all documented ones, and no others."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from fakes.elevenlabs.refusing import refuse_fields

T = TypeVar("T")
Unit = Annotated[float, msgspec.Meta(ge=0, le=1)]
Seed = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
Ids = Annotated[list[str], msgspec.Meta(max_length=3)]

_PHONEME = re.compile(r'<phoneme alphabet="(?:ipa|cmu-arpabet)" ph="[^"<>]+">([^\s<>]+)</phoneme>')
_PLACE = re.compile(r"at `\$\.?([^`]*)`")


class VoiceSettings(msgspec.Struct, forbid_unknown_fields=True):
    stability: Unit | None = None
    similarity_boost: Unit | None = None
    style: Unit | None = None
    use_speaker_boost: bool | None = None
    speed: Annotated[float, msgspec.Meta(ge=0.7, le=1.2)] | None = None
    clone_strength: float | None = None


class SpeechBody(msgspec.Struct, forbid_unknown_fields=True):
    text: Annotated[str, msgspec.Meta(min_length=1)]
    model_id: str = "eleven_multilingual_v2"
    language_code: Annotated[str, msgspec.Meta(pattern="^[a-z]{2,3}$")] | None = None
    voice_settings: VoiceSettings | None = None
    pronunciation_dictionary_locators: Annotated[list[Any], msgspec.Meta(max_length=3)] | None = None
    seed: Seed | None = None
    previous_text: str | None = None
    next_text: str | None = None
    previous_request_ids: Ids | None = None
    next_request_ids: Ids | None = None
    use_pvc_as_ivc: bool | None = None
    apply_text_normalization: Literal["auto", "on", "off"] | None = None
    apply_language_text_normalization: bool | None = None
    audio_effects: Any = None

    @property
    def spoken(self) -> str:
        """Return the text without its tags, which no model says. A badly written tag is said."""
        return _PHONEME.sub(r"\1", self.text)


def read(type_: type[T], body: bytes | str, *place: str) -> T:
    try:
        return msgspec.json.decode(body, type=type_)
    except msgspec.ValidationError as error:
        found = _PLACE.search(str(error))
        raise refuse_fields(((*place, *(found[1].split(".") if found else ())), str(error))) from None
    except msgspec.DecodeError:
        raise refuse_fields((place, "JSON decode error")) from None
