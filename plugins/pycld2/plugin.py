"""Register the detector `pycld2`. The server uses it unless another detector is named."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

import pycld2

from speech_engine.plugin import Context, NoSettings, Plugin

_LOOKED_AT = 2000
_FEWEST_LETTERS = 3

_SHORT_LETTERS = 40
"""A text with fewer letters is short. CLD2 mostly gives no answer to it unless it is made to.
The answer then counts if the score is high enough and the language is a common one."""

_LEAST_SCORE = 400
"""CLD2's score per kilobyte. Under 400, most guesses at a short text are wrong. Above 400, three in
four or more are right."""

_NO_LANGUAGE = frozenset(("un", "xxx", "tlh", "zzb", "zze", "zzh", "zzp"))
"""Unknown, ignored, and CLD2's jokes. Codes that begin with `xx-` name a
script, and no language either."""

_TAGS = {
    # Old codes, and codes that name more than a language.
    "iw": "he",
    "jw": "jv",
    "zh-Hant": "zh",
    "sr-ME": "sr",
    # CLD2 takes misspelt English for Scots. No engine has a Scots voice.
    "sco": "en",
    # Two ways to write one spoken language.
    "nn": "no",
}

_SHORT_TAGS = {
    # A few words fit both languages, and Portuguese has a hundred times the speakers.
    "gl": "pt",
    # CLD2 calls "Mi dispiace" Corsican.
    "co": "it",
    # "Selamat malam" is Malay and Indonesian. Most people who write it are Indonesian.
    "ms": "id",
}
"""Tags for short texts. A long text in Galician, Corsican or Malay is known to be in that language.
For a long text, the language on the right is only the next guess."""

_COMMON = frozenset(
    (
        *("af", "am", "ar", "az", "be", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "et"),
        *("fa", "fi", "fr", "gu", "ha", "he", "hi", "hr", "hu", "hy", "id", "ig", "it", "ja", "jv"),
        *("ka", "kk", "km", "kn", "ko", "lo", "lt", "lv", "mk", "ml", "mr", "my", "ne", "nl", "no"),
        *("pa", "pl", "ps", "pt", "ro", "ru", "si", "sk", "sl", "so", "sq", "su", "sv", "sw", "ta"),
        *("te", "th", "tl", "tr", "uk", "ur", "uz", "vi", "yo", "zh", "zu"),
    )
)
"""The languages that a short text may have: languages of many speakers, or with voices.

CLD2 knows eighty more. It takes greetings in other languages for Wolof, Quechua and Manx, and short
Russian texts for Serbian.
"""


class Cld2Detector:
    def detect(self, text: str) -> str | None:
        """Detect as `Detector.detect` says, in the first 2,000 characters."""
        return next(iter(self.rank(text)), None)

    def rank(self, text: str, usual: str = "") -> tuple[str, ...]:
        """Rank as `RankingDetector.rank` says, in the first 2,000 characters.

        The usual language is CLD2's hint for a short text. Without the hint, one text in ten of the usual
        language is taken for another one; with it, one in a hundred.
        """
        # CLD2 refuses control characters, surrogates and characters that Unicode has not assigned.
        prose = text[:_LOOKED_AT]
        if not prose.isprintable():
            prose = "".join([character if character.isprintable() else " " for character in prose])
        letters = sum(map(str.isalpha, prose))
        if letters < _FEWEST_LETTERS:
            return ()
        is_short = letters < _SHORT_LETTERS
        hint: dict[str, str] = {}
        if is_short and usual in _known():
            # English has the weaker of two hints. The stronger one makes English of every third greeting in
            # another language. A language that CLD2 does not know, or knows by another code, gets no hint.
            hint["hintLanguageHTTPHeaders" if usual == "en" else "hintLanguage"] = usual
        try:
            is_reliable, _, ranked = pycld2.detect(prose, isPlainText=True, bestEffort=is_short, **hint)
        except (pycld2.error, ValueError):
            return ()
        score = ranked[0][3]
        if not is_reliable or (is_short and score < _LEAST_SCORE):
            return ()
        if is_short:
            code = ranked[0][1]
            tag = _TAGS.get(code, code)
            spoken_as = _SHORT_TAGS.get(tag, tag)
            return (spoken_as,) if spoken_as in _COMMON else ()
        return _guesses_at_long([_TAGS.get(code, code) for _, code, _, _ in ranked])


@cache
def _known() -> frozenset[str]:
    return frozenset(code for _, code in pycld2.LANGUAGES)


def _guesses_at_long(tags: list[str]) -> tuple[str, ...]:
    if not _is_language(tags[0]):
        return ()
    neighbours = [_SHORT_TAGS[tag] for tag in tags if tag in _SHORT_TAGS]
    return tuple(filter(_is_language, [*tags, *neighbours]))


def _is_language(tag: str) -> bool:
    return tag not in _NO_LANGUAGE and not tag.startswith("xx-")


@asynccontextmanager
async def create(name: str, settings: NoSettings, context: Context) -> AsyncIterator[Cld2Detector]:
    yield Cld2Detector()


def voxgate_register() -> tuple[Plugin[NoSettings], ...]:
    return (Plugin(kind="detector", name="pycld2", settings=NoSettings, create=create),)
