"""The tables of MiniMax's languages and models. MiniMax offers no list of them, so these are written by hand.

MiniMax has no names for regions of a language, because an accent comes with the voice.
"""

from __future__ import annotations

from speech_engine import Language, ModelInfo

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


def language_name(tag: str) -> str:
    """Return MiniMax's name of a language, or `auto` if it has none.

    With `auto`, MiniMax detects the language itself.
    """
    tag = tag.lower()
    return _NAMES.get(tag) or _NAMES.get(tag.partition("-")[0]) or AUTO


SAMPLE_RATE_HZ = 24_000
"""The server's own rate, which MiniMax can make too. So PCM and MP3 go out as they came."""

MP3 = "mp3"
PCM = "pcm"

MOST_CHARACTERS = 9_999
"""A text must be shorter than 10 000."""

LOWEST_SPEED, HIGHEST_SPEED = 0.5, 2.0
MOST_SEMITONES = 12

SAMPLE_S = (10.0, 300.0)
"""The shortest and the longest recording of which MiniMax makes a voice."""

FIRST_USE_MODEL = "speech-2.8-turbo"
"""The model with which a new clone speaks once. It is one of the cheapest."""

_EMOTIONS = ("happy", "sad", "angry", "fearful", "disgusted", "surprised", "calm", "fluent")
_WITH_WHISPER = (*_EMOTIONS, "whisper")
_EMOTIONS_BY_MODEL = {
    "speech-2.8-hd": _EMOTIONS,
    "speech-2.8-turbo": _EMOTIONS,
    "speech-2.6-hd": _WITH_WHISPER,
    "speech-2.6-turbo": _WITH_WHISPER,
    "speech-02-hd": _WITH_WHISPER,
    "speech-02-turbo": _WITH_WHISPER,
    "speech-01-hd": _WITH_WHISPER,
    "speech-01-turbo": _WITH_WHISPER,
}


def _model(id_: str, emotions: tuple[str, ...]) -> ModelInfo:
    return ModelInfo(
        id=id_,
        languages=tuple(Language(tag) for tag in TAGS),
        sample_rate_hz=SAMPLE_RATE_HZ,
        formats=(MP3,),
        encoded_hz=SAMPLE_RATE_HZ,
        max_characters=MOST_CHARACTERS,
        joins_segments=True,
        speed=(LOWEST_SPEED, HIGHEST_SPEED),
        pitch=(-float(MOST_SEMITONES), float(MOST_SEMITONES)),
        emotions=emotions,
        clones=True,
        sample_s=SAMPLE_S,
        mixes=True,
        most_mixed=4,
        billed_on_submit=True,
        is_local=False,
        phonemes=("pinyin",),
        licence="MiniMax terms of service",
    )


MODELS = tuple(_model(id_, emotions) for id_, emotions in _EMOTIONS_BY_MODEL.items())
