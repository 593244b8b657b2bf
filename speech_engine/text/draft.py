"""A front-end's toolkit: a text on its way to being spoken, decided bit by bit, that knows where each
character came from."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from speech_engine.text import cleaning
from speech_engine.text.words import words_of
from speech_engine.values import Rewritten, Segment

MASK = "\0"
"""Stands for every decided character in `Draft.open`; no cleaned text has it."""


class _Decided(NamedTuple):
    start: int
    end: int
    spoken: str


class Draft:
    """`text` is what the rules look at: cleaned, its white space as it was.

    What is decided first stays: later rules see it masked, in `open`, and cannot reach across it.
    """

    def __init__(self, text: str) -> None:
        self._source = text
        self.text, self._places = cleaning.cleaned(text)
        self._open = self.text
        self._decided: list[_Decided] = []

    def __repr__(self) -> str:
        return f"<Draft of {len(self.text)} characters, {len(self._decided)} decided>"

    @property
    def open(self) -> str:
        """As long as `text`, with a mask for all that is decided."""
        return self._open

    @property
    def decided(self) -> tuple[tuple[int, int, str], ...]:
        """What was decided so far, in order: where it begins and ends in `text`, and what is said there."""
        return tuple(self._decided)

    def keep(self, pattern: re.Pattern[str]) -> None:
        """What matches is said as it is written, whatever later rules or a lexicon say."""
        self.rewrite(pattern, re.Match.group)

    def rewrite(self, pattern: re.Pattern[str], spoken: Callable[[re.Match[str]], str | None]) -> None:
        """Decides each match by what `spoken` gives for it; None leaves it to later rules."""
        found = []
        for match in pattern.finditer(self._open):
            start, end = match.span()
            if start == end or MASK in match.group():
                continue
            if (said := spoken(match)) is not None:
                found.append(_Decided(start, end, said))
        self._add(found)

    def decide(self, start: int, end: int, spoken: str) -> None:
        """Raises ValueError for a range that is empty, outside of the text, or decided in part."""
        if not 0 <= start < end <= len(self.text) or MASK in self._open[start:end]:
            raise ValueError(f"{start}..{end} cannot be decided")
        self._add([_Decided(start, end, spoken)])

    def apply(self, lexicon: Mapping[str, str], boundaries: Collection[int] | None = None) -> None:
        """Decides the words of a lexicon, the longest first: whole words, or with `boundaries` what begins
        and ends at one of these places. A word in lower case stands for any case, another for itself; one
        whose entry is the word itself is kept as it is written."""
        if not lexicon:
            return
        self._add(_Decided(*found) for found in words_of(lexicon).find(self._open, boundaries))

    def segments(self, ends: Iterable[int]) -> tuple[Segment, ...]:
        """The text cut behind these places of `text`; a cut inside of what is decided moves behind it.

        A piece that says nothing joins the one before it, or the first; where the whole says nothing, it is
        one segment of whatever is written, or none.
        """
        made = []
        ranges = self._speaking(self._cuts(ends))
        for start, end in ranges:
            spoken, rewritten = self._spoken(start, end)
            if spoken.strip(cleaning.JOINERS):
                made.append(Segment(spoken, self._place(start), self._place(end), rewritten))
        return tuple(made)

    def _add(self, found: Iterable[_Decided]) -> None:
        pieces, at = [], 0
        for start, end, said in found:
            insort(self._decided, _Decided(start, end, cleaning.cleaned(said)[0]))
            pieces += [self._open[at:start], MASK * (end - start)]
            at = end
        self._open = "".join((*pieces, self._open[at:]))

    def _place(self, at: int) -> int:
        """Of a character of `text` in the source. What was removed belongs to what stood before it."""
        if at == 0:
            return 0
        if at == len(self.text):
            return len(self._source)
        return at if self._places is None else self._places[at]

    def _within(self, start: int, end: int) -> list[_Decided]:
        first = bisect_left(self._decided, (start,))
        return self._decided[first : bisect_left(self._decided, (end,))]

    def _cuts(self, ends: Iterable[int]) -> list[int]:
        cuts = {len(self.text)}
        for end in ends:
            before = bisect_right(self._decided, (end,)) - 1
            if before >= 0 and self._decided[before].start < end < self._decided[before].end:
                end = self._decided[before].end
            if 0 < end < len(self.text):
                cuts.add(end)
        return sorted(cuts)

    def _speaking(self, cuts: list[int]) -> list[tuple[int, int]]:
        ranges: list[tuple[int, int]] = []
        start = end = 0
        has_speech = False
        for cut in cuts:
            if self._is_speech(end, cut):
                if has_speech:
                    ranges.append((start, end))
                    start = end
                has_speech = True
            end = cut
        return [*ranges, (start, len(self.text))]

    def _is_speech(self, start: int, end: int) -> bool:
        if cleaning.is_speech(self._open[start:end]):
            return True
        return any(cleaning.is_speech(decided.spoken) for decided in self._within(start, end))

    def _spoken(self, start: int, end: int) -> tuple[str, tuple[Rewritten, ...]]:
        """What is said of a range, and which of it stands for what in the source."""
        decided = self._within(start, end)
        if not decided:
            return " ".join(self.text[start:end].split()), ()
        said = _Said()
        at = start
        rewritten: list[Rewritten] = []
        for first, last, spoken in decided:
            said.add(self.text[at:first])
            place = said.add(spoken)
            if place is not None and spoken != self.text[first:last]:
                rewritten.append(Rewritten(*place, self._place(first), self._place(last)))
            at = last
        said.add(self.text[at:end])
        whole = said.text.rstrip()
        return whole, tuple(_clipped(rewritten, len(whole)))


class _Said:
    """What is said so far, with white space collapsed wherever its pieces meet."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def add(self, piece: str) -> tuple[int, int] | None:
        """Where it lies now; None where nothing of it is left."""
        words = cleaning.composed(" ".join(piece.split()))
        if piece[:1].isspace():
            self._space()
        if not words:
            return None
        start = self._length
        if self._pieces and cleaning.continues(words[0]):
            # An accent belongs to the letter that stands before it.
            last = self._pieces.pop()
            self._length -= len(last)
            words = cleaning.composed(last + words)
        self._put(words)
        end = self._length
        if piece[-1:].isspace():
            self._space()
        return (min(start, end - 1), end)

    def _space(self) -> None:
        if self._pieces and not self._pieces[-1].endswith(" "):
            self._put(" ")

    def _put(self, text: str) -> None:
        self._pieces.append(text)
        self._length += len(text)


def _clipped(rewritten: list[Rewritten], length: int) -> Iterable[Rewritten]:
    """Where pieces grew together, each keeps what no later one took."""
    before = 0
    for one in rewritten:
        start, end = max(before, min(one.spoken_start, length)), min(one.spoken_end, length)
        if start < end:
            yield Rewritten(start, end, one.source_start, one.source_end)
            before = end
