"""Judge whether a transcript says the words of a text, all of it or as far as it has come.

A transcript may be the speaking model's own text. Then equal words do not prove that the sound has them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from speech_engine.text.english_readings import is_english, readings

_APOSTROPHES = str.maketrans("\u2019\u2018\u02bc\u00b4`", "'''''")
_TRADE_MARKS = dict.fromkeys(map(ord, "\u2122\u2120\u00ae\u00a9"), " ")
"""Trade marks, whose letters are not words."""
_CURRENCIES = "".join(filter(lambda each: unicodedata.category(each) == "Sc", map(chr, range(0x20D0))))
"""The signs of currencies up to the end of their block in Unicode."""
_SPOKEN_SIGNS = f"%\u2030+=&@\u00b0\u2212{_CURRENCIES}"
"""Signs that are read aloud. Other signs and punctuation are silent."""
_LETTER = rf"[^\s0-9.,'{re.escape(_SPOKEN_SIGNS)}]"
_TOKEN = re.compile(rf"[0-9]+(?:[.,][0-9]+)*|[{re.escape(_SPOKEN_SIGNS)}]|{_LETTER}+(?:'{_LETTER}+)*")
_CLOCK_TIME = re.compile(r"(?<![0-9:])(([0-9]{1,2}):([0-9]{2}))(?![0-9:])")
_DIGITS_OF_TIME = re.compile(r"(?<![0-9.,:])([0-9]{1,2})[.:h \u2013-]?([0-9]{2})(?![0-9]|[.,:][0-9])")
_MINUS = re.compile(r"(?<![^\s(])[-\u2013](?=[0-9])")


class SpokenWords(NamedTuple):
    """The words of a text, without case and silent signs. An accent stands apart from its letter."""

    tokens: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<SpokenWords {len(self.tokens)}>"

    @property
    def joined(self) -> str:
        """The words without separators: "re-enter" is "reenter". Only two numbers stay apart."""
        text = ""
        for token in self.tokens:
            # Two numbers side by side would read as one.
            text += f" {token}" if text[-1:].isdigit() and token[0].isdigit() else token
        return text


class TranscriptJudge:
    """A judge of transcripts in one language. With `contractions`, "I'm" and "I am" are the same."""

    def __init__(self, language: str, *, contractions: bool = False) -> None:
        self._is_english = is_english(language)
        self._contractions = contractions

    def says_all(self, text: str, transcript: str) -> bool:
        """Return whether the transcript has the words of the text, all of them, and no others."""
        return self.is_same(words_of(text), words_of(transcript))

    def is_same(self, written: SpokenWords, transcribed: SpokenWords) -> bool:
        if written.tokens == transcribed.tokens or written.joined == transcribed.joined:
            return True
        return self._has_reading(written, transcribed) or self._has_reading(transcribed, written)

    def says_so_far(self, text: str, transcript: str) -> bool:
        """Return whether the transcript may be the beginning of the text. Its last word may be unfinished."""
        written, transcribed = words_of(text), words_of(transcript)
        if written.joined.startswith(transcribed.joined):
            return True
        # A number may still grow, so it is not judged before the next word.
        tokens = transcribed.tokens[:-1] if transcribed.tokens[-1][0].isdigit() else transcribed.tokens
        return self._has_reading(written, transcribed, is_whole=False) or self._is_beginning(
            SpokenWords(tokens), written
        )

    def _readings(self, written: SpokenWords) -> Sequence[Sequence[str]]:
        if not self._is_english:
            return [(token,) for token in written.tokens]
        return readings(written.tokens, contractions=self._contractions)

    def _has_reading(self, written: SpokenWords, transcribed: SpokenWords, *, is_whole: bool = True) -> bool:
        """Return whether a reading of `written` is `transcribed`, or begins with it if that is not whole."""
        spoken = transcribed.joined
        places = {0}
        for options in self._readings(written):
            after: set[int] = set()
            for place in places:
                if not is_whole and any(_is_cut_off(spoken, place, option) for option in options):
                    return True
                after |= set(_ends_of_options(spoken, place, options))
            places = after
        return len(spoken) in places

    def _is_beginning(self, transcribed: SpokenWords, written: SpokenWords) -> bool:
        """Return whether a reading of `transcribed`, all of it, begins `written`."""
        text, places = written.joined, {0}
        for options in self._readings(transcribed)[:-1]:
            places = {end for place in places for end in _ends_of_options(text, place, options)}
        last = self._readings(transcribed)[-1:]
        rests = [text[place:].lstrip(" ") for place in places]
        return not last or any(rest.startswith(option) for rest in rests for option in last[0])


def words_of(text: str) -> SpokenWords:
    # "5\u00b2" is no 52, and "1\u00bd" no 11.
    apart = "".join(f" {each} " if unicodedata.category(each) == "No" else each for each in text)
    signed = _MINUS.sub("\u2212", apart.translate(_TRADE_MARKS).translate(_APOSTROPHES))
    # Apart from their letters, accents that have not come yet do not change a letter that has.
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", signed).casefold())
    return SpokenWords(tuple(_TOKEN.findall("".join(map(_comparable, plain)))))


@lru_cache(maxsize=4096)
def _comparable(character: str) -> str:
    """Return a character as it is compared: digits as ASCII, a blank for silent signs.

    Marks count as letters, which `\\w` does not: vowel signs of Thai and Indic scripts are marks.
    """
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.digit(character))
    if category == "Cf":
        return ""
    is_word = category[0] in "LMN" or character in _SPOKEN_SIGNS or character in "'.,"
    return character if is_word else " "


def _ends_of_options(spoken: str, place: int, options: Sequence[str]) -> Iterator[int]:
    """Yield the places after each option that stands at this place. A number ends where its digits do."""
    if spoken[place : place + 1] == " ":
        place += 1
    for option in options:
        end = place + len(option)
        is_cut = option[-1:].isdigit() and spoken[end : end + 1].isdigit()
        if spoken.startswith(option, place) and not is_cut:
            yield end


def _is_cut_off(spoken: str, place: int, option: str) -> bool:
    return option.startswith(spoken[place:].lstrip(" "))


def with_times_of(text: str, transcript: str) -> str:
    """Return a transcript in which the times of the text are written as in the text: a recogniser may write
    3:10 as "310".

    A front-end then reads them in both alike.
    """
    times = {(int(hour), minute): time for time, hour, minute in _CLOCK_TIME.findall(text)}
    return _DIGITS_OF_TIME.sub(lambda found: times.get((int(found[1]), found[2]), found[0]), transcript)
