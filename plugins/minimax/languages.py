"""Languages by the names that MiniMax has for them. Regions have none: an accent comes with the voice."""

from __future__ import annotations

AUTO = "auto"

_NAMES = {
    "af": "Afrikaans",
    "ar": "Arabic",
    "bg": "Bulgarian",
    "ca": "Catalan",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fa": "Persian",
    "fi": "Finnish",
    "fil": "Filipino",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "hr": "Croatian",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "ms": "Malay",
    "nb": "Norwegian",
    "nl": "Dutch",
    "nn": "Nynorsk",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sk": "Slovak",
    "sl": "Slovenian",
    "sv": "Swedish",
    "ta": "Tamil",
    "th": "Thai",
    "tl": "Filipino",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "vi": "Vietnamese",
    "yue": "Chinese,Yue",
    "zh": "Chinese",
    "zh-hk": "Chinese,Yue",
    "zh-yue": "Chinese,Yue",
}

TAGS = tuple(_NAMES)
NAMES = frozenset(_NAMES.values())


def boost(tag: str) -> str:
    """The provider's name of a language; `auto`, by which it listens for itself, where it has none."""
    tag = tag.lower()
    return _NAMES.get(tag) or _NAMES.get(tag.partition("-")[0]) or AUTO
