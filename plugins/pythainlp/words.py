"""The library's dictionary and tokenizer, with a store of words that costs the server little."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from itertools import accumulate

from pythainlp.corpus import thai_words
from pythainlp.tokenize import newmm
from pythainlp.util import Trie

from plugins.pythainlp.rule import THAI, Turn

_PIECE = re.compile(rf"[{THAI}]+|[^\W\d_{THAI}]+|\d+|\s+|.", re.DOTALL)
# A text without blanks is divided window by window. Otherwise the effort would grow with the
# square of its length.
_WINDOW = 120
_OVERLAP = 40
_IS_THAI = re.compile(f"[{THAI}]")


class Dictionary(Trie):
    """A dictionary that keeps all beginnings of all words in one flat dict of strings.

    The library's own tree takes 84 MB in half a million objects. Each full garbage collection visits all of
    them, and blocks the process for 100 ms. The collector does not look into this dict.
    """

    def __init__(self, beginnings: Mapping[str, bool], own: Collection[str] = ()) -> None:
        super().__init__(())
        self._beginnings = beginnings
        self._own = sorted(own, key=len, reverse=True)

    def __len__(self) -> int:
        return len(self._beginnings)

    def prefixes(self, text: str, start: int = 0) -> list[str]:
        """Return the words that begin there. A lexicon's word goes before all that are not longer."""
        words = []
        for end in range(start + 1, len(text) + 1):
            is_word = self._beginnings.get(text[start:end])
            if is_word is None:
                break
            if is_word:
                words.append(text[start:end])
        own = next((word for word in self._own if text.startswith(word, start)), None)
        return words if own is None else [own, *(word for word in words if len(word) > len(own))]


class Words:
    """A finder of the words of a text. It is made once, and all threads use it."""

    def __init__(self) -> None:
        self._beginnings = _beginnings(thai_words())

    def has(self, word: str) -> bool:
        return self._beginnings.get(word, False)

    def ends(self, text: str, own: Iterable[str], turn: Turn) -> list[int]:
        """Return the places where words end, in order, beginning with 0.

        `own` are words of a lexicon, which the dictionary may lack.
        """
        present = [word for word in own if _IS_THAI.match(word) and word in text]
        dictionary = Dictionary(self._beginnings, present)
        overlap = max(_OVERLAP, *map(len, present), 0)
        places = [0]
        for piece in _PIECE.finditer(text):
            turn.give_way()
            if not _IS_THAI.match(piece.group()):
                places.append(piece.end())
            while places[-1] < piece.end():
                turn.give_way()
                window = text[places[-1] : min(places[-1] + overlap + _WINDOW, piece.end())]
                is_last = places[-1] + len(window) == piece.end()
                places += _ends(places[-1], newmm.segment(window, dictionary), 0 if is_last else overlap)
        return places


def _ends(start: int, words: Iterable[str], overlap: int) -> list[int]:
    """Return the places where these words end, if the first word begins at `start`.

    The words in the last `overlap` characters are left out. The text goes on after them, and its
    next characters may change how they are divided.
    """
    ends = list(accumulate(map(len, words), initial=start))[1:]
    sure = [end for end in ends if end <= ends[-1] - overlap]
    return sure or ends


def _beginnings(words: Iterable[str]) -> dict[str, bool]:
    beginnings: dict[str, bool] = {}
    for word in words:
        for end in range(1, len(word)):
            beginnings.setdefault(word[:end], False)
        beginnings[word] = True
    return beginnings
