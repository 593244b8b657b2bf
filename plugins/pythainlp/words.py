"""The library's dictionary and tokenizer, over a store of words that costs the server little."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from itertools import accumulate

from pythainlp.corpus import thai_words
from pythainlp.tokenize import newmm
from pythainlp.util import Trie

from plugins.pythainlp.rule import THAI
from plugins.pythainlp.turn import Turn

_PIECE = re.compile(rf"[{THAI}]+|[^\W\d_{THAI}]+|\d+|\s+|.", re.DOTALL)
# A text without blanks is taken apart bit by bit: the effort would grow with its square otherwise.
_WINDOW = 120
_OVERLAP = 40
_IS_THAI = re.compile(f"[{THAI}]")


class Dictionary(Trie):
    """All beginnings of all words in one flat dict of strings.

    The library's own tree takes 84 MB in half a million objects, and each full garbage collection goes
    through all of them: 100 ms in which nothing else runs. The collector does not look into this one.
    """

    def __init__(self, beginnings: Mapping[str, bool], own: Collection[str] = ()) -> None:
        super().__init__(())
        self._beginnings = beginnings
        self._own = sorted(own, key=len, reverse=True)

    def __len__(self) -> int:
        return len(self._beginnings)

    def prefixes(self, text: str, start: int = 0) -> list[str]:
        """The words that begin there. One of our own goes before all that are not longer."""
        found = []
        for end in range(start + 1, len(text) + 1):
            is_word = self._beginnings.get(text[start:end])
            if is_word is None:
                break
            if is_word:
                found.append(text[start:end])
        own = next((word for word in self._own if text.startswith(word, start)), None)
        return found if own is None else [own, *(word for word in found if len(word) > len(own))]


class Words:
    """Finds the words of a text; made once, used by all threads."""

    def __init__(self) -> None:
        self._beginnings = _beginnings(thai_words())

    def __repr__(self) -> str:
        return f"<Words {len(self._beginnings)} beginnings>"

    def has(self, word: str) -> bool:
        return self._beginnings.get(word, False)

    def ends(self, text: str, own: Iterable[str], turn: Turn) -> list[int]:
        """Where words end, in order, beginning with 0; `own` are words that the dictionary need not have."""
        present = [word for word in own if _IS_THAI.match(word) and word in text]
        dictionary = Dictionary(self._beginnings, present)
        overlap = max(_OVERLAP, *map(len, present), 0)
        found = [0]
        for piece in _PIECE.finditer(text):
            turn.give_way()
            if not _IS_THAI.match(piece.group()):
                found.append(piece.end())
            while found[-1] < piece.end():
                turn.give_way()
                window = text[found[-1] : min(found[-1] + overlap + _WINDOW, piece.end())]
                is_last = found[-1] + len(window) == piece.end()
                found += _ends(found[-1], newmm.segment(window, dictionary), 0 if is_last else overlap)
        return found


def _ends(start: int, words: Iterable[str], overlap: int) -> list[int]:
    """Where these words end that begin there. The last ones, which so many characters hold, are left out:
    the text goes on, and they may be found otherwise with what follows."""
    ends = list(accumulate(map(len, words), initial=start))[1:]
    sure = [end for end in ends if end <= ends[-1] - overlap]
    return sure or ends


def _beginnings(words: Iterable[str]) -> dict[str, bool]:
    found: dict[str, bool] = {}
    for word in words:
        for end in range(1, len(word)):
            found.setdefault(word[:end], False)
        found[word] = True
    return found
