"""The table of MiniMax's models. MiniMax offers no list of them, so this one is written by hand."""

from __future__ import annotations

from plugins.minimax.languages import TAGS
from speech_engine import Language, ModelInfo

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
_WHISPERED = (*_EMOTIONS, "whisper")
_BY_MODEL = {
    "speech-2.8-hd": _EMOTIONS,
    "speech-2.8-turbo": _EMOTIONS,
    "speech-2.6-hd": _WHISPERED,
    "speech-2.6-turbo": _WHISPERED,
    "speech-02-hd": _WHISPERED,
    "speech-02-turbo": _WHISPERED,
    "speech-01-hd": _WHISPERED,
    "speech-01-turbo": _WHISPERED,
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


MODELS = tuple(_model(id_, emotions) for id_, emotions in _BY_MODEL.items())
