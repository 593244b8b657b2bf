"""Turn texts into the model's tokens: one for each character, and one for each syllable of Chinese."""

from __future__ import annotations

from collections.abc import Mapping

import plugins.f5tts.boot  # noqa: F401 - before f5_tts

# isort: split
from f5_tts.model.utils import convert_char_to_pinyin

from speech_engine.errors import UnsupportedLanguage, UnsupportedText
from speech_engine.text.cleaning import without_unknown

_ENDS = (".", "!", "?", "…", "。", "！", "？")
_WIDE_ENDS = ("。", "！", "？")


class TextReader:
    def __init__(self, vocabulary: Mapping[str, int], languages: tuple[str, ...]) -> None:
        self._vocabulary = vocabulary
        self._languages = frozenset(map(_base, languages))

    def judge_language(self, language: str) -> None:
        """Raise UnsupportedLanguage unless the model was imported for this language."""
        if _base(language) not in self._languages:
            raise UnsupportedLanguage(f"This model does not speak the language {_base(language)!r}.")

    def clean(self, text: str) -> str:
        """Return a text without signs that the vocabulary lacks. A capital that it lacks becomes small.

        Raise UnsupportedText if it lacks a letter.
        """
        clean = " ".join(text.encode(errors="replace").decode().split())
        if not all(self._is_known(character) for character in set(clean)):
            clean = without_unknown("".join(map(self._usual, clean)), self._is_known)
        if not any(map(str.isalnum, clean)):
            raise UnsupportedText("The text has nothing that this model can speak.")
        return clean

    def clean_words(self, text: str) -> str:
        """Return the words of a recording, which precede the text. Raise UnsupportedText."""
        try:
            clean = self.clean(text)
        except UnsupportedText as error:
            raise UnsupportedText(f"The words of the recording: {error.reason}") from None
        clean = clean if clean.endswith(_ENDS) else f"{clean}."
        return clean if clean.endswith(_WIDE_ENDS) else f"{clean} "

    def numbers(self, text: str) -> list[int]:
        numbers = [self._vocabulary.get(token) for token in spell(text)]
        known = [number for number in numbers if number is not None]
        if len(known) < len(numbers):
            raise UnsupportedText("The text has a sound that this model has not learned.")
        return known

    def _usual(self, character: str) -> str:
        small = character.lower()
        return small if not self._is_known(character) and all(map(self._is_known, small)) else character

    def _is_known(self, character: str) -> bool:
        return all(token in self._vocabulary for token in spell(character))


def spell(text: str) -> list[str]:
    """Return the tokens of a text, as in the project's training: characters, and pinyin for Chinese."""
    try:
        tokens: list[str] = convert_char_to_pinyin([text])[0]
    except IndexError:
        # The function takes any three-byte letters for Chinese, and finds fewer syllables than letters.
        return list(text)
    return tokens


def _base(language: str) -> str:
    return language.split("-")[0].lower()
