"""MiniMax's names of the languages. It has no names for regions, because an accent comes with the voice."""

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
    """Return MiniMax's name of a language, or `auto` if it has none.

    With `auto`, MiniMax detects the language itself.
    """
    tag = tag.lower()
    return _NAMES.get(tag) or _NAMES.get(tag.partition("-")[0]) or AUTO
