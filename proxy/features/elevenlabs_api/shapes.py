"""The objects of answers as ElevenLabs' clients read them."""

from __future__ import annotations

import msgspec

from proxy.features.elevenlabs_api.alignment import CharacterAlignment
from speech_engine.redacted import Redacted


class Times(Redacted, msgspec.Struct, frozen=True):
    """When each character is heard. Both are of the text as it was sent."""

    alignment: CharacterAlignment | None
    normalized_alignment: CharacterAlignment | None


class JsonChunk(Redacted, msgspec.Struct, frozen=True):
    """A line of audio with the characters whose times are known by then."""

    audio_base64: str
    alignment: CharacterAlignment | None
    normalized_alignment: CharacterAlignment | None


class LanguageShape(msgspec.Struct, frozen=True):
    language_id: str
    name: str


class ModelShape(msgspec.Struct, frozen=True, kw_only=True):
    model_id: str
    name: str
    description: str = ""
    can_do_text_to_speech: bool = True
    can_do_voice_conversion: bool = False
    can_be_finetuned: bool = False
    can_use_style: bool = False
    can_use_speaker_boost: bool = False
    maximum_text_length_per_request: int
    languages: list[LanguageShape]


class VoiceShape(msgspec.Struct, frozen=True, kw_only=True):
    voice_id: str
    name: str
    category: str
    labels: dict[str, str]
    description: str
    preview_url: str | None = None
    samples: None = None
    settings: None = None


class VoicesShape(msgspec.Struct, frozen=True):
    voices: list[VoiceShape]


class VoicesPage(msgspec.Struct, frozen=True, kw_only=True):
    voices: list[VoiceShape]
    has_more: bool
    total_count: int
    next_page_token: str | None


class SubscriptionShape(msgspec.Struct, frozen=True, kw_only=True):
    """The plan of the account. Its credits stand where ElevenLabs has characters."""

    tier: str
    character_count: int
    character_limit: int
    next_character_count_reset_unix: int
    status: str = "active"
    voice_slots_used: int
    voice_limit: int
    can_extend_character_limit: bool = False
    allowed_to_extend_character_limit: bool = False
    can_extend_voice_limit: bool = False
    can_use_instant_voice_cloning: bool = False
    can_use_professional_voice_cloning: bool = False
    open_invoices: list[str] = []
