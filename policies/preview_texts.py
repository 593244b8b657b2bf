"""The sentence that a voice says in a preview, by language. A voice of any other language says it in English.

The project wrote these texts. No native speaker has read any of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from policies.language import base_tag

_TEXTS: Mapping[str, str] = {
    "ar": "مرحبا، هكذا يبدو صوتي.",
    "de": "Hallo, so klingt meine Stimme.",
    "en": "Hello, this is how my voice sounds.",
    "es": "Hola, así suena mi voz.",
    "fr": "Bonjour, voici comment sonne ma voix.",
    "ha": "Sannu, haka muryata take.",
    "hi": "नमस्ते, मेरी आवाज़ ऐसी है।",
    "id": "Halo, beginilah suara saya.",
    "it": "Ciao, questa è la mia voce.",
    "ja": "こんにちは、これが私の声です。",
    "ko": "안녕하세요, 제 목소리는 이렇습니다.",
    "nl": "Hallo, zo klinkt mijn stem.",
    "pl": "Cześć, tak brzmi mój głos.",
    "pt": "Olá, é assim que soa a minha voz.",
    "ru": "Здравствуйте, так звучит мой голос.",
    "sw": "Habari, hivi ndivyo sauti yangu inavyosikika.",
    "th": "สวัสดี นี่คือเสียงของฉัน",
    "tr": "Merhaba, sesim böyle.",
    "uk": "Вітаю, так звучить мій голос.",
    "vi": "Xin chào, đây là giọng nói của tôi.",
    "zh": "你好，这就是我的声音。",
}


def preview_text(tag: str | None) -> str:
    """Return the sentence for a voice of this language."""
    return _TEXTS.get(base_tag(tag or "en"), _TEXTS["en"])


def has_preview_text(tag: str) -> bool:
    return base_tag(tag) in _TEXTS
