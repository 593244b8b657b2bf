"""The toolkit of a front-end: a text whose spoken form is decided part by part.

The draft knows where each character came from.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache

from speech_engine.text import cleaning
from speech_engine.text.words import FoundWord, word_finder
from speech_engine.values import Rewritten, Segment

MASK = "\0"
"""A stand-in for every decided character in `Draft.open`; no cleaned text contains it."""


class Draft:
    """A text that rules decide part by part.

    The rules look at `text`, which is cleaned but keeps its white space. An early decision stays:
    later rules see a mask in its place, in `open`, and cannot reach across it.
    """

    def __init__(self, text: str) -> None:
        self._source = text
        self.text, self._places = cleaning.cleaned(text)
        self._open = self.text
        self._decided: list[FoundWord] = []

    @property
    def open(self) -> str:
        """Return `text` with a mask in place of every decided character. The length is the same."""
        return self._open

    @property
    def decided(self) -> tuple[tuple[int, int, str], ...]:
        """Return the decisions so far, in order: start and end in `text`, and the spoken words."""
        return tuple(self._decided)

    def keep(self, pattern: re.Pattern[str]) -> None:
        """Decide that each match is said as it is written. Later rules and lexicons do not change it."""
        self.rewrite(pattern, re.Match.group)

    def rewrite(self, pattern: re.Pattern[str], spoken: Callable[[re.Match[str]], str | None]) -> None:
        """Decide each match as `spoken` says. If `spoken` returns None, later rules may decide it."""
        found = []
        for match in pattern.finditer(self._open):
            start, end = match.span()
            if start == end or MASK in match.group():
                continue
            if (words := spoken(match)) is not None:
                found.append(FoundWord(start, end, words))
        self._add_decisions(found)

    def decide(self, start: int, end: int, spoken: str) -> None:
        """Decide one range. Raise ValueError if it is empty, outside of the text, or decided in part."""
        if not 0 <= start < end <= len(self.text) or MASK in self._open[start:end]:
            raise ValueError(f"{start}..{end} cannot be decided")
        self._add_decisions([FoundWord(start, end, spoken)])

    def apply(self, lexicon: Mapping[str, str], boundaries: Collection[int] | None = None) -> None:
        """Decide the words of a lexicon, the longest first.

        Only whole words match. With `boundaries`, a match begins and ends at these places instead.
        A word in lower case stands for any case, and any other word only for itself. If the entry is
        the word itself, the word stays as it is written.
        """
        if not lexicon:
            return
        self._add_decisions(word_finder(lexicon).find(self._open, boundaries))

    def segments(self, ends: Iterable[int]) -> tuple[Segment, ...]:
        """Return the text, cut behind these places of `text`.

        A cut inside a decided range moves behind that range. A piece without speech joins the piece
        before it, or the first piece that has speech. If the whole text has no speech, the result is
        one segment of all that is written, or no segment.
        """
        made = []
        cuts = self._cuts_outside_decisions(ends)
        # Most texts are one sentence, which has no neighbour to join.
        ranges = self._ranges_with_speech(cuts) if len(cuts) > 1 else [(0, len(self.text))]
        for start, end in ranges:
            spoken, rewritten = self._spoken_form(start, end)
            if spoken.strip(cleaning.JOINERS):
                # Most texts are one segment: the beginning of a text needs no look-up.
                source_start = start and self._source_place(start)
                made.append(Segment(spoken, source_start, self._source_place(end), rewritten))
        return tuple(made)

    def _add_decisions(self, found: Iterable[FoundWord]) -> None:
        pieces, at = [], 0
        for start, end, spoken in found:
            insort(self._decided, FoundWord(start, end, cleaning.cleaned_text(spoken)))
            pieces += [self._open[at:start], MASK * (end - start)]
            at = end
        self._open = "".join((*pieces, self._open[at:]))

    def _source_place(self, at: int) -> int:
        """Return a character's place in the source. A removed one belongs to the character before it."""
        if at == 0:
            return 0
        if at == len(self.text):
            return len(self._source)
        return at if self._places is None else self._places[at]

    def _decided_between(self, start: int, end: int) -> list[FoundWord]:
        first = bisect_left(self._decided, (start,))
        return self._decided[first : bisect_left(self._decided, (end,))]

    def _cuts_outside_decisions(self, ends: Iterable[int]) -> list[int]:
        cuts = {len(self.text)}
        for end in ends:
            before = bisect_right(self._decided, (end,)) - 1
            if before >= 0 and self._decided[before].start < end < self._decided[before].end:
                end = self._decided[before].end
            if 0 < end < len(self.text):
                cuts.add(end)
        return sorted(cuts)

    def _ranges_with_speech(self, cuts: list[int]) -> list[tuple[int, int]]:
        ranges: list[tuple[int, int]] = []
        start = end = 0
        has_speech = False
        for cut in cuts:
            decided = self._decided_between(end, cut) if self._decided else ()
            if cleaning.is_speech(self._open[end:cut]) or any(
                cleaning.is_speech(each.spoken) for each in decided
            ):
                if has_speech:
                    ranges.append((start, end))
                    start = end
                has_speech = True
            end = cut
        return [*ranges, (start, len(self.text))]

    def _spoken_form(self, start: int, end: int) -> tuple[str, tuple[Rewritten, ...]]:
        """Return the spoken form of a range, and which parts of it replace which parts of the source."""
        decided = self._decided_between(start, end) if self._decided else []
        if not decided:
            return " ".join(self.text[start:end].split()), ()
        speech = _Speech()
        at = start
        rewritten: list[Rewritten] = []
        for first, last, spoken in decided:
            speech.add(self.text[at:first])
            place = speech.add(spoken)
            if place is not None and spoken != self.text[first:last]:
                rewritten.append(Rewritten(*place, self._source_place(first), self._source_place(last)))
            at = last
        speech.add(self.text[at:end])
        whole = speech.text.rstrip()
        return whole, tuple(_clipped(rewritten, len(whole)))


class _Speech:
    """The spoken text so far. White space collapses at the joints of its pieces."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def add(self, piece: str) -> tuple[int, int] | None:
        """Add a piece and return its place, or None if nothing of the piece is left."""
        words = cleaning.composed(" ".join(piece.split()))
        if piece[:1].isspace():
            self._append_space()
        if not words:
            return None
        start = self._length
        if self._pieces and cleaning.continues(words[0]):
            # An accent belongs to the letter that stands before it.
            last = self._pieces.pop()
            self._length -= len(last)
            words = cleaning.composed(last + words)
        self._append(words)
        end = self._length
        if piece[-1:].isspace():
            self._append_space()
        # Composed with the last piece, the text may be no longer than it was before.
        return (min(start, end - 1), end)

    def _append_space(self) -> None:
        if self._pieces and not self._pieces[-1].endswith(" "):
            self._append(" ")

    def _append(self, text: str) -> None:
        self._pieces.append(text)
        self._length += len(text)


def _clipped(rewritten: list[Rewritten], length: int) -> Iterable[Rewritten]:
    before = 0
    for each in rewritten:
        start, end = max(before, min(each.spoken_start, length)), min(each.spoken_end, length)
        if start < end:
            yield Rewritten(start, end, each.source_start, each.source_end)
            before = end


# Endings that are also words of a language are left out: a blank may be missing.
_DOMAINS = "com|org|net|edu|gov|info|io|ai|app|dev|tv|br|pt|es|uk|ng|mx|ar|de|fr|eu|th|jp"
_LABEL = r"[^\W_](?:[\w-]{0,62})"
# A full stop or a bracket behind an address belongs to the sentence.
_ADDRESS_REST = r"""[^\s<>"]*[^\s<>".,;:!?)\]}'’”»]"""


@cache
def _address(domains: str) -> re.Pattern[str]:
    return re.compile(
        # Not `\b`: in a script without blanks, a letter may stand before the address.
        rf"(?<![A-Za-z0-9])(?:https?|ftp)://{_ADDRESS_REST}"
        rf"|(?<![A-Za-z0-9])www\.{_ADDRESS_REST}"
        rf"|(?<![\w.+%-])[\w.+%-]{{1,64}}@(?:{_LABEL}\.){{1,8}}[^\W\d_]{{2,24}}(?!\w)"
        # Of one letter and two, as in p.es., most are abbreviations.
        rf"|(?<![\w.@-])(?!\w\.[a-z]{{2}}(?![\w/]))(?:{_LABEL}\.){{1,8}}(?:{domains})(?![\w-])(?:/{_ADDRESS_REST})?"
        r"|(?<![\w@])@[A-Za-z_]\w{1,63}"
    )


# Few texts have one of these, and the search for an address takes ten times as long.
_ADDRESS_HINT = re.compile(r"[@/]|\.(?=\w)")


def keep_addresses(
    draft: Draft, spoken: Callable[[re.Match[str]], str] = re.Match.group, domains: str = ""
) -> None:
    """Find pages with or without a scheme, mailboxes and network names, in linear time.

    Decide each as `spoken` says. `domains` are further endings, in which no word of the text's
    language is found: `|it`.
    """
    if _ADDRESS_HINT.search(draft.text):
        draft.rewrite(_address(_DOMAINS + domains), spoken)
