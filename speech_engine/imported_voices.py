"""What engines share whose voices are files of an operator: one model for all, and how a voice is found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from speech_engine.errors import UnsupportedLanguage, VoiceNotFound
from speech_engine.models import Language, ModelInfo
from speech_engine.values import EngineVoice, Voice

V = TypeVar("V")

MODEL = "standard"
MOST_CHARACTERS = 400
"""Of a sentence: about half a minute, which a network makes in one piece."""


def one_model(tags: Iterable[str], sample_rate_hz: int, digest: str) -> ModelInfo:
    """Describe all voices as one model: so clients choose between voices, as they do elsewhere."""
    spoken = dict.fromkeys(tags)
    bases = dict.fromkeys(tag.partition("-")[0] for tag in spoken)
    return ModelInfo(
        id=MODEL,
        languages=tuple(Language(tag) for tag in dict.fromkeys((*spoken, *bases))),
        sample_rate_hz=sample_rate_hz,
        digest=digest,
        max_characters=MOST_CHARACTERS,
        speed=(0.5, 2.0),
        times_words=False,
        # espeak-ng reads digits, but it reads neither "R$ 1.234,50" nor "20/11" as people do.
        reads_numbers=False,
    )


def find_voice(
    engine: str, voices: Mapping[str, V], tags: Callable[[V], Iterable[str]], voice: Voice, language: str
) -> V:
    """Return the voice that is meant, if it speaks the language, of whatever region.

    `tags` gives those of a voice. Raise VoiceNotFound or UnsupportedLanguage, with the engine's name.
    """
    id_ = voice.id if isinstance(voice, EngineVoice) else ""
    if (found := voices.get(id_)) is None:
        raise VoiceNotFound(
            f"{engine} has no voice {id_[:80]!r}." if id_ else f"{engine} has only voices of its own."
        )
    base = language.partition("-")[0].lower()
    if base not in (tag.partition("-")[0].lower() for tag in tags(found)):
        raise UnsupportedLanguage(f"This voice of {engine} does not speak the language {language!r}.")
    return found
