"""The voices of the engine: those of the model's file, and OpenAI's thirteen names."""

from __future__ import annotations

from collections.abc import Sequence

from plugins.kokoro.model_format import StyleVoice
from speech_engine import (
    EngineVoice,
    Language,
    ModelInfo,
    UnsupportedLanguage,
    VoiceInfo,
    VoiceNotFound,
)
from speech_engine.values import Voice

MODEL = "standard"
RATE_HZ = 24_000
NAMES = {
    **dict.fromkeys(("alloy", "coral", "marin", "nova", "sage", "shimmer"), "female"),
    **dict.fromkeys(("ash", "ballad", "cedar", "echo", "fable", "onyx", "verse"), "male"),
}
"""The names that clients know, with the genders that `[voices]` gives them."""

MOST_CHARACTERS = 400
"""Of a sentence: about half a minute."""


class VoiceList:
    """The voices that can be spoken with, and the reasons why others cannot.

    `languages` are those that the operator chose at the import.
    """

    def __init__(self, voices: Sequence[StyleVoice], digest: str, languages: Sequence[str] = ()) -> None:
        chosen = [voice for voice in voices if not languages or voice.reading.tag in languages]
        self.voices = tuple(voice for voice in chosen if voice.reading.espeak)
        self._unread = {voice.name: voice for voice in voices if not voice.reading.espeak}
        self._by_name = {voice.name: voice for voice in self.voices}
        self._digest = digest

    def __repr__(self) -> str:
        return f"<VoiceList of {len(self.voices)} voices>"

    def infos(self) -> tuple[VoiceInfo, ...]:
        return tuple(
            VoiceInfo(id=voice.name, name=voice.name, language=voice.reading.tag, gender=voice.gender)
            for voice in self.voices
        )

    def unlisted(self) -> tuple[str, ...]:
        return tuple(NAMES)

    def model(self) -> ModelInfo:
        tags = dict.fromkeys(voice.reading.tag for voice in self.voices)
        bases = dict.fromkeys(tag.partition("-")[0] for tag in tags)
        return ModelInfo(
            id=MODEL,
            languages=tuple(Language(tag) for tag in dict.fromkeys((*tags, *bases))),
            sample_rate_hz=RATE_HZ,
            digest=self._digest,
            max_characters=MOST_CHARACTERS,
            speed=(0.5, 2.0),
            times_words=False,
            # espeak-ng reads digits, but it reads neither "R$ 1.234,50" nor "20/11" as people do.
            reads_numbers=False,
        )

    def find(self, wanted: Voice, language: str) -> StyleVoice:
        """Return the voice that is meant. Raise VoiceNotFound or UnsupportedLanguage."""
        id_ = wanted.id if isinstance(wanted, EngineVoice) else ""
        if id_ in self._unread:
            name = self._unread[id_].reading.name
            raise UnsupportedLanguage(f"{id_} is a voice for {name}, which this engine cannot read.")
        if id_ not in self._by_name and id_ not in NAMES:
            raise VoiceNotFound(
                f"Kokoro has no voice {id_[:80]!r}." if id_ else "Kokoro has only voices of its own."
            )
        able = _speaking(self.voices, language)
        chosen = self._by_name.get(id_)
        if not able or (chosen is not None and not _speaking((chosen,), language)):
            raise UnsupportedLanguage(f"This voice of Kokoro does not speak the language {language!r}.")
        return chosen or _share(able, id_)


def _share(voices: Sequence[StyleVoice], name: str) -> StyleVoice:
    """Return the voice of one of OpenAI's names: its namesake if there is one, else one of its gender."""
    for voice in voices:
        if voice.name[2:] == f"_{name}":
            return voice
    alike = [voice for voice in voices if voice.gender == NAMES[name]] or voices
    names = [each for each, gender in NAMES.items() if gender == NAMES[name]]
    return alike[names.index(name) % len(alike)]


def _speaking(voices: Sequence[StyleVoice], language: str) -> list[StyleVoice]:
    """Return the voices of a language: of its region if there are any, else of any region."""
    exact = [voice for voice in voices if voice.reading.tag.lower() == language.lower()]
    base = language.partition("-")[0].lower()
    return exact or [voice for voice in voices if voice.reading.tag.partition("-")[0] == base]
