"""The language of a text in the opinion of CLD2, and the limits for believing it.

The limits were measured with `python -m bench.languages`.
"""

from __future__ import annotations

import pycld2

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
    # CLD2 calls English in an unusual spelling Scots. Nobody offers a Scots voice.
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
"""Tags for short texts alone. A long text in Galician, Corsican or Malay is known to be in that
language."""

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
    def __repr__(self) -> str:
        return "<Cld2Detector>"

    def detect(self, text: str) -> str | None:
        """Detect as `Detector.detect` says, in the first 2,000 characters."""
        # CLD2 refuses control characters, surrogates and characters that Unicode has not assigned.
        prose = "".join(character if character.isprintable() else " " for character in text[:_LOOKED_AT])
        letters = sum(map(str.isalpha, prose))
        if letters < _FEWEST_LETTERS:
            return None
        is_short = letters < _SHORT_LETTERS
        try:
            is_reliable, _, ranked = pycld2.detect(prose, isPlainText=True, bestEffort=is_short)
        except (pycld2.error, ValueError):
            return None
        _, code, _, score = ranked[0]
        if not is_reliable or (is_short and score < _LEAST_SCORE):
            return None
        return _believed(_TAGS.get(code, code), is_short)


def _believed(tag: str, is_short: bool) -> str | None:
    if is_short:
        tag = _SHORT_TAGS.get(tag, tag)
        return tag if tag in _COMMON else None
    return None if tag in _NO_LANGUAGE or tag.startswith("xx-") else tag
