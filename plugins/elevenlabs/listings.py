"""The models, voices and credit of an account: read from ElevenLabs' lists, given in the server's types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from plugins.elevenlabs import phonemes
from plugins.elevenlabs.api import Api, voice_id
from plugins.elevenlabs.plugin import ElevenLabsSettings
from speech_engine.cloud import OURS
from speech_engine.errors import EngineExhausted, EngineUnauthorized, VoiceNotFound
from speech_engine.hearing import HEARING_HZ
from speech_engine.models import ANY_LANGUAGE, Language, ModelInfo, VoiceInfo
from speech_engine.values import EngineVoice

SAMPLE_RATE_HZ = 24_000
"""The rate of the PCM that the engine requests. OpenAI's own `pcm` has it, and every plan may use it."""
SPEEDS = (0.7, 1.2)
"""The slowest and the fastest speed that ElevenLabs takes."""
DEFAULT_MAX_CHARACTERS = 5_000
"""The lowest limit of all models. It holds for a model whose limit ElevenLabs does not list."""

SAMPLE_S = (3.0, 120.0)
"""The shortest and the longest recording. ElevenLabs names no bounds. It says that more than two minutes of
a voice make it no better."""

CREDITS_A_MINUTE = 1000.0
"""The price of a minute of a recording that is converted."""

_PAGE_SIZE = "100"
_MOST_PAGES = 20
_LICENCE = "ElevenLabs terms of service"


class ListedLanguage(msgspec.Struct, frozen=True):
    language_id: str


class ListedModel(msgspec.Struct, frozen=True):
    model_id: str
    can_do_text_to_speech: bool = False
    can_do_voice_conversion: bool = False
    maximum_text_length_per_request: int | None = None
    languages: tuple[ListedLanguage, ...] | None = None

    @property
    def speaks_or_converts(self) -> bool:
        return bool(self.can_do_text_to_speech and self.languages) or self.can_do_voice_conversion

    def info(self, settings: ElevenLabsSettings) -> ModelInfo:
        tags = dict.fromkeys(language.language_id for language in self.languages or ())
        return ModelInfo(
            id=self.model_id,
            languages=tuple(Language(tag) for tag in tags),
            sample_rate_hz=SAMPLE_RATE_HZ,
            formats=("mp3",),
            encoded_hz=settings.mp3_hz,
            max_characters=max(1, self.maximum_text_length_per_request or DEFAULT_MAX_CHARACTERS),
            joins_segments=True,
            speed=SPEEDS,
            clones=True,
            sample_s=SAMPLE_S,
            times_words=settings.word_times,
            seeds=True,
            billed_on_submit=True,
            speaks=self.can_do_text_to_speech,
            converts=self.can_do_voice_conversion,
            hears_all_first=True,
            units_a_minute=CREDITS_A_MINUTE if self.can_do_voice_conversion else None,
            is_local=False,
            reads_emotion_tags=self.model_id.startswith("eleven_v3"),
            phonemes=phonemes.taken_by(self.model_id, is_timed=settings.word_times),
            licence=_LICENCE,
        )


def hearing_model(id_: str) -> ModelInfo:
    return ModelInfo(
        id=id_,
        languages=(Language(ANY_LANGUAGE),),
        sample_rate_hz=HEARING_HZ,
        speaks=False,
        hears=True,
        hears_all_first=True,
        times_words=True,
        units_a_minute=60.0,
        billed_on_submit=True,
        is_local=False,
        licence=_LICENCE,
    )


class Verification(msgspec.Struct, frozen=True):
    requires_verification: bool = False


class ListedVoice(msgspec.Struct, frozen=True):
    voice_id: str
    name: str | None = None
    labels: dict[str, Any] | None = None
    description: str | None = None
    category: str | None = None
    voice_verification: Verification | None = None

    def info(self) -> VoiceInfo:
        texts = {name: label for name, label in (self.labels or {}).items() if isinstance(label, str)}
        labels = {name: " ".join(label.replace("_", " ").split()) for name, label in texts.items()}
        gender = labels.pop("gender", "")
        age = labels.pop("age", "")
        return VoiceInfo(
            id=self.voice_id,
            name=" ".join((self.name or "").split()) or self.voice_id,
            # Clients know no filter for another label, like "neutral" or "non-binary".
            gender=gender if gender in ("male", "female") else None,
            age=age or None,
            # The other labels are accent, use and the like. An account may invent its own labels.
            tags=tuple(dict.fromkeys(label for label in labels.values() if label)),
            description=" ".join((self.description or "").split()),
            is_cloned=self.category in ("cloned", "professional"),
        )

    @property
    def is_usable(self) -> bool:
        try:
            voice_id(EngineVoice(self.voice_id))
        except VoiceNotFound:
            return False
        return True


class VoicePage(msgspec.Struct, frozen=True):
    voices: tuple[ListedVoice, ...]
    has_more: bool = False
    next_page_token: str | None = None


class Subscription(msgspec.Struct, frozen=True):
    character_count: int
    character_limit: int
    voice_limit: int | None = None
    voice_slots_used: int | None = None
    max_voice_add_edits: int | None = None
    voice_add_edit_counter: int | None = None
    can_extend_character_limit: bool | None = None
    allowed_to_extend_character_limit: bool | None = None

    @property
    def slots_left(self) -> int | None:
        return _left(self.voice_limit, self.voice_slots_used)

    @property
    def additions_left(self) -> int | None:
        return _left(self.max_voice_add_edits, self.voice_add_edit_counter)

    @property
    def is_spent(self) -> bool:
        may_extend = self.can_extend_character_limit and self.allowed_to_extend_character_limit
        return self.character_count >= self.character_limit and not may_extend


async def models(api: Api, settings: ElevenLabsSettings) -> tuple[ModelInfo, ...]:
    """Return the models that speak or convert, in the operator's order, or else in that of ElevenLabs. Those
    that hear follow: no list has them.

    A model that speaks and names no language is left out, because no request could have a route to it.
    """
    listed = await api.read_json(tuple[ListedModel, ...], "/v1/models")
    if listed is None:
        raise EngineUnauthorized("The ElevenLabs key may not read the list of models.")
    able = {each.model_id: each for each in listed if each.speaks_or_converts}
    names = dict.fromkeys(settings.models or able)
    hearing = (hearing_model(name) for name in settings.transcribes if name not in able)
    return (*(able[name].info(settings) for name in names if name in able), *hearing)


async def voices(api: Api) -> tuple[tuple[VoiceInfo, ...], bool]:
    """Return the voices on the first pages, and whether these are all. Only the largest accounts have more.

    If the key may not list voices, return none. The engine can still speak with a voice by its id.
    Voices that were cloned through this server are left out.
    """
    listed, is_whole = await find_voices(api, {})
    found = {each.voice_id: each.info() for each in listed or () if not (each.name or "").startswith(OURS)}
    return tuple(found.values()), is_whole


async def find_voices(api: Api, search: Mapping[str, str]) -> tuple[tuple[ListedVoice, ...] | None, bool]:
    """Return the voices that a search finds, and whether these are all; None if the key may not list them."""
    found: list[ListedVoice] = []
    query = {"page_size": _PAGE_SIZE, **search}
    for number in range(_MOST_PAGES):
        page = await api.read_json(VoicePage, "/v2/voices", query)
        if page is None:
            return (tuple(found) if number else None), False
        found += [each for each in page.voices if each.is_usable]
        if not page.has_more or not page.next_page_token:
            return tuple(found), True
        query["next_page_token"] = page.next_page_token
    return tuple(found), False


async def check_credit(api: Api) -> None:
    """Raise EngineExhausted if the account has no credit.

    If the key may not read the credit, do not raise: only the next request can show it.
    """
    subscription = await api.read_json(Subscription, "/v1/user/subscription")
    if subscription is not None and subscription.is_spent:
        raise EngineExhausted("The ElevenLabs account has used up its credits.")


def _left(most: int | None, used: int | None) -> int | None:
    return None if most is None or used is None else max(0, most - used)
