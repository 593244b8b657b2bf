"""CLD2's opinion on a text, and when to believe it: as measured by `python -m bench.languages`."""

from __future__ import annotations

import pycld2

_LOOKED_AT = 2000
_FEWEST_LETTERS = 3

_SHORT_LETTERS = 40
"""Below, CLD2 would mostly rather not say. It is made to, and believed where score and language agree."""

_LEAST_SCORE = 400
"""CLD2's score per kilobyte: under 400 most guesses at a short text are wrong, above it three in four or more
are right."""

_NO_LANGUAGE = frozenset(("un", "xxx", "tlh", "zzb", "zze", "zzh", "zzp"))
"""Unknown, ignored, and CLD2's jokes. Codes that begin with `xx-` say a script, and no language either."""

_TAGS = {
    # Old codes, and those that say more than a language.
    "iw": "he",
    "jw": "jv",
    "zh-Hant": "zh",
    "sr-ME": "sr",
    # To CLD2, English in an unusual spelling; nobody offers a Scots voice.
    "sco": "en",
    # Two ways to write what is one language when it is spoken.
    "nn": "no",
}

_SHORT_TAGS = {
    # A few words fit both, and Portuguese has a hundred times the speakers.
    "gl": "pt",
    # "Mi dispiace", to CLD2.
    "co": "it",
    # "Selamat malam" is both; most of those who write it are Indonesian.
    "ms": "id",
}
"""For short texts alone: a long one in Galician, Corsican or Malay is known to be that."""

_COMMON = frozenset(
    (
        *("af", "am", "ar", "az", "be", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "et"),
        *("fa", "fi", "fr", "gu", "ha", "he", "hi", "hr", "hu", "hy", "id", "ig", "it", "ja", "jv"),
        *("ka", "kk", "km", "kn", "ko", "lo", "lt", "lv", "mk", "ml", "mr", "my", "ne", "nl", "no"),
        *("pa", "pl", "ps", "pt", "ro", "ru", "si", "sk", "sl", "so", "sq", "su", "sv", "sw", "ta"),
        *("te", "th", "tl", "tr", "uk", "ur", "uz", "vi", "yo", "zh", "zu"),
    )
)
"""What a short text may be in: languages of many speakers, or with voices. CLD2 knows eighty more, and hears
Wolof, Quechua and Manx in the greetings of others, and Serbian in short Russian."""


class Cld2Detector:
    def __repr__(self) -> str:
        return "<Cld2Detector>"

    def detect(self, text: str) -> str | None:
        """As `Detector.detect`; looks at the first 2,000 characters."""
        # CLD2 refuses control characters, half characters and those that Unicode has not assigned.
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
