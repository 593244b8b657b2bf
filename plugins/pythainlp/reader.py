"""Read a Thai text: apply all rules in their order.

The import of this file loads PyThaiNLP. Making a `Reader` loads the library's words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from pythainlp.util import remove_repeat_vowels

from plugins.pythainlp import (
    abbreviations,
    amounts,
    counting,
    dates,
    dialling,
    english,
    measures,
    sentences,
)
from plugins.pythainlp.english import English
from plugins.pythainlp.repeats import Repeats
from plugins.pythainlp.rule import Blanks, Turn
from plugins.pythainlp.words import Words
from speech_engine.text.draft import Draft, keep_addresses
from speech_engine.values import Segment

_ZERO_WIDTH = "\u200b"
# Thai has no use for the joiner, though other scripts need it. Each replacement has as many
# characters as before, so that places stay.
_TRANSLATED = str.maketrans("๐๑๒๓๔๕๖๗๘๙\u200c", f"0123456789{_ZERO_WIDTH}")

# These spellings look right on the screen. But they are typed in another order, with two signs
# instead of one sign, or with a sign twice.
_MISSPELT = re.compile(r"เเ|\u0e4d[่-๋]?า|[่-๋์][ัิ-ู]|[ะาำ][่-๋]|([ะ-ฺ็-๎])\1{1,9}|[่-๋]{2,9}")


class Reader:
    def __init__(self) -> None:
        self._words = Words()
        self._abbreviations = abbreviations.rules(self._words.has)
        self._english = English()

    def read(self, text: str, lexicon: Mapping[str, str]) -> tuple[Segment, ...]:
        with Turn() as turn:
            return self._read(_respelt(text), _words_of(tuple(lexicon.items())), turn)

    def _read(self, text: str, lexicon: Mapping[str, str], turn: Turn) -> tuple[Segment, ...]:
        draft = Draft(text)
        keep_addresses(draft)
        words = self._words.ends(draft.text, lexicon, turn)
        begins = frozenset(words)
        draft.apply(lexicon, begins)
        blanks = Blanks(draft, begins, lambda reading: self._rested(reading, turn), turn)
        blanks.apply(english.NAMES)
        blanks.apply(dates.RULES)
        blanks.apply(dialling.RULES)
        blanks.apply(amounts.RULES)
        blanks.apply(measures.RULES)
        blanks.apply(self._abbreviations)
        blanks.apply(counting.RULES)
        blanks.apply(Repeats(draft.text, words, lexicon, self._words).rules())
        blanks.apply(self._english.rules(draft.open))
        blanks.close()
        return draft.segments(sentences.ends(draft, words))

    def _rested(self, reading: str, turn: Turn) -> str:
        if len(reading) <= sentences.MOST_SPOKEN:
            return reading
        return sentences.rested(reading, self._words.ends(reading, (), turn))


def _respelt(text: str) -> str:
    """Correct the spelling. Each correction is padded to its old length, so that places stay.

    The draft takes the padding out again.
    """
    return _MISSPELT.sub(
        lambda match: remove_repeat_vowels(match.group()).ljust(len(match.group()), _ZERO_WIDTH),
        text.translate(_TRANSLATED),
    )


@lru_cache(maxsize=64)
def _words_of(items: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    """Return the lexicon in the corrected spelling, because the text has it by now."""
    return {_respelt(word).replace(_ZERO_WIDTH, ""): spoken for word, spoken in items}
