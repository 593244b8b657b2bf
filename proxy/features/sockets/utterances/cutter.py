"""Cuts text that is still being written into pieces to speak. It has no clock: moments are arguments."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from policies import text_tags
from proxy.text_rules.marks import code_blocks
from speech_engine.text import cleaning
from speech_engine.text.dialogue import dialogue_ends

QUIET_S = 0.5
"""After this time without more text, a text that ends with an end mark is a sentence."""
MOST_OPEN, MOST_PROTECTED = 300, 500
"""A sentence is cut within so many characters. A bracket or a mark that begins there may take more."""
MOST_PIECE = 1000
"""The most characters of a piece after the first one."""

_WINDOW = 2 * MOST_PIECE
_CLOSING = "\"'”’»›«)]>）】」』》*_`~"
# The end marks of languages that put no blank between sentences, or whose next word comes late.
_HARD_END = re.compile(rf"[。！？।॥｡]+[{re.escape(_CLOSING)}]*\s*")
_END_MARKS = ".!?…。！？।॥｡．؟۔։።"
# The next whole word with the blank behind it, after marks that stand alone.
_WHOLE_WORD = re.compile(r"(?:\s*+[^\w\s]++(?=\s))*+\s*+[^\w\s]*+\w\S*+\s")
_MOST_WORD = 100
_MAY_CLOSE = re.compile(rf"[\s」』”»{re.escape(_END_MARKS)}]")
_CLAUSE = re.compile(r"[,;:،؛–—](?=\s)\s*|[、，；：]")
_BLANK = re.compile(r"\s+")
# Brackets, tags and marks that are closed, or not yet: what has no end before the next one is none. `a < b`,
# `2 * 3` and `snake_case` are none either.
_PROTECTED = re.compile(
    r"\[[^\[\]\n]*(?:\](?:\([^()\n]*(?:\)|\Z))?|\Z)"
    r"|<[A-Za-z/!][^<>\n]*(?:>|\Z)"
    r"|`[^`\n]+(?:`|\Z)"
    r"|\*\*(?=\S)[^*\n]+(?:\*\*|\*?\Z)"
    r"|(?<![\w*])\*(?=[^\s*])[^*\n]+(?:\*|\Z)"
    r"|(?<!\w)__?(?=[^\s_])[^_\n]+(?:__?|\Z)"
    r"|~~(?=\S)[^~\n]+(?:~~|~?\Z)"
)
_QUOTED = re.compile(r"「[^」\n]*(?:」|\Z)|『[^』\n]*(?:』|\Z)|“[^”\n]*(?:”|\Z)|（[^）\n]*(?:）|\Z)")
# Emotions behind the last word of a piece count for the next one.
_TAGS_BEHIND = re.compile(r"(?:\[[^\[\]\n]+\]\s*)+\Z")


_ELEMENT = re.compile(r"<[^<>]*>")
_END_TAGS = re.compile(r"\s*(?:</[^<>]*>\s*)+")


class Cut(NamedTuple):
    """A piece of the text, and its place in all text."""

    start: int
    text: str

    @property
    def speakable(self) -> str:
        """The text with blanks in place of what is not spoken, so that places stay."""
        return text_tags.without_tags(self.text)


class SsmlCut(Cut):
    """A piece of SSML, without its root."""

    @property
    def speakable(self) -> str:
        return text_tags.without_tags(_ELEMENT.sub(lambda found: " " * len(found[0]), self.text))


class Cutter:
    """The text of an utterance that is not spoken yet, and where it may be cut.

    A sentence is closed when a further word behind it is whole, at an end mark such as `。`, at a flush, or
    when its writer rests after an end mark. A long one is cut at a clause mark or a blank. The `language`
    decides about the ends of sentences, and may become known later. If the text `is_one_piece`, it is spoken
    at its end alone. With `skips_code`, a block of code is in no piece. It waits for its last line; a block
    without one is text.
    """

    def __init__(
        self, *, language: str = "", splits: bool = True, is_ssml: bool = False, skips_code: bool = False
    ) -> None:
        self.language = language
        self.is_one_piece = False
        self.has_ended = False
        self._splits = splits
        self._skips_code = skips_code
        self._kind = SsmlCut if is_ssml else Cut
        # The text that is not taken yet, and its place in all text.
        self._text = ""
        self._start = 0
        # All text before this place is closed.
        self._flushed = 0
        # Where sentences end in `_text`. None: they must be found again.
        self._ends: list[int] | None = []
        self._quiet_at: float | None = None

    def __repr__(self) -> str:
        return f"<Cutter {self._start} characters taken, {len(self._text)} left>"

    @property
    def may_close(self) -> bool:
        """Whether something may have closed since the last `next_cut`."""
        return self._ends is None

    @property
    def has_more(self) -> bool:
        """Whether there is something left to say."""
        return self._has_speech(self._text)

    def _has_speech(self, text: str) -> bool:
        return cleaning.is_speech(self._kind(0, text).speakable)

    def receive_text(self, text: str, now: float) -> None:
        if not text:
            return
        self._text += text
        # A closed sentence needs a blank or a mark: most letters change nothing.
        if len(self._text) > MOST_OPEN or _MAY_CLOSE.search(text) is not None:
            self._ends = None
        self._quiet_at = now + QUIET_S

    def take_back(self, cut: Cut) -> None:
        """Take a piece back, because the whole text is one."""
        self._text, self._start, self.is_one_piece = cut.text + self._text, cut.start, True
        self._flushed = len(self._text) if self.has_ended else 0

    def close_text(self) -> None:
        """Close all text so far."""
        self._flushed, self._ends = len(self._text), None

    def end_text(self) -> None:
        """Close all text: no more comes."""
        self.has_ended = True
        self.close_text()

    def wakes_at(self, now: float) -> float | None:
        """Return when a sentence closes if no more text comes. None: no sentence will close."""
        if self._quiet_at is None or self._flushed == len(self._text) or not self._splits:
            return None
        return self._quiet_at if now < self._quiet_at and _ends_with_mark(self._text) else None

    def next_cut(self, now: float, most: int = MOST_PIECE, *, is_first: bool = False) -> Cut | None:
        """Return the next piece, or None before it is closed. The first one is a sentence. A later one has
        all that is closed, up to `most` characters."""
        if self.is_one_piece or not self._splits:
            if not self.has_ended:
                return None
            is_first = False
        if self.is_one_piece:
            return self._take_text(len(self._text)) if self.has_more else None
        if self._quiet_at is not None and now >= self._quiet_at:
            self._close_quiet()
        if self._ends is None:
            self._ends = self._find_ends()
        chosen, end = self._choose(self._ends, most, is_first=is_first)
        if chosen:
            return self._take_text(chosen)
        # What has nothing to say is spoken with the words behind it, but it must not pile up.
        if end >= MOST_OPEN:
            self._take_text(end)
        self._ends = []
        return None

    def _choose(self, ends: Sequence[int], most: int, *, is_first: bool) -> tuple[int, int]:
        """Return the end of the next piece, 0 if there is nothing to say, and the last end that was seen."""
        chosen, begin, has_speech = 0, 0, False
        for end in ends:
            if chosen and (is_first or end > most):
                break
            has_speech = has_speech or self._has_speech(self._text[begin:end])
            begin = end
            if has_speech and (place := self._before_tags(end)) > chosen:
                chosen = place
        return chosen, begin

    def _take_text(self, end: int) -> Cut:
        cut = self._kind(self._start, self._text[:end])
        self._text, self._start = self._text[end:], self._start + end
        self._flushed, self._ends = max(0, self._flushed - end), None
        return cut

    def _before_tags(self, end: int) -> int:
        """Return the place before the emotions at an end. At the end of all text they mean nothing."""
        tags = _TAGS_BEHIND.search(self._text, max(0, end - MOST_OPEN), end)
        if tags is None or text_tags.first_emotion(self._text, tags.start(), end) is None:
            return end
        return tags.start()

    def _close_quiet(self) -> None:
        """Close all text if it ends with an end mark. Without one, its writer may rest in the middle of a
        sentence."""
        self._quiet_at = None
        window = self._text[-_WINDOW:]
        if _ends_with_mark(window) and not _is_inside(_spans(_PROTECTED, window), len(window)):
            self.close_text()

    def _leave_out_code(self) -> int | None:
        """Take the blocks of code with nothing to say before them. Return where the next one begins."""
        while self._skips_code and "```" in self._text and (block := next(code_blocks(self._text), None)):
            start, last = block[0].start(), block[1]
            if last is None and self.has_ended:
                break
            if last is None or self._has_speech(self._text[:start]):
                return start
            self._take_text(last.end())
        return None

    def _find_ends(self) -> list[int]:
        code = self._leave_out_code()
        text = self._text[:_WINDOW][:code]
        hard, quoted = _spans(_PROTECTED, text), _spans(_QUOTED, text)
        places = set[int]()
        for end in dialogue_ends(text, self.language)[:-1]:
            if end <= self._flushed or _WHOLE_WORD.match(text, end, end + _MOST_WORD) is not None:
                places.add(end)
        places.update(mark.end() for mark in _HARD_END.finditer(text))
        if self._kind is SsmlCut:
            # A sentence that fills an element ends behind it: "<p>Four five.</p>".
            places = {tags.end() if (tags := _END_TAGS.match(text, end)) else end for end in places}
        ends = {
            end
            for end in places
            if not _is_inside(hard, end) and (end <= self._flushed or not _is_inside(quoted, end))
        }
        closed = {each for each in (self._flushed, code or 0) if 0 < each <= len(text)}
        return list(_with_long_cut(text, sorted(ends | closed), hard))


_Spans = Sequence[tuple[int, int]]


def _spans(pattern: re.Pattern[str], text: str) -> _Spans:
    """Return what a pattern protects. If its last span is not closed, it goes on behind the text."""
    spans = [found.span() for found in pattern.finditer(text)]
    if spans and spans[-1][1] == len(text) and text[-1] not in _CLOSING:
        spans[-1] = (spans[-1][0], len(text) + 1)
    return spans


def _is_inside(spans: _Spans, place: int) -> bool:
    number = bisect_right(spans, (place, 0)) - 1
    if number < 0:
        return False
    start, end = spans[number]
    return start < place < end


def _ends_with_mark(text: str) -> bool:
    return text[-_MOST_WORD:].rstrip().rstrip(_CLOSING)[-1:] in tuple(_END_MARKS)


def _with_long_cut(text: str, ends: Sequence[int], protected: _Spans) -> Iterator[int]:
    """Yield the ends, and between them the places to cut sentences that are too long. The text behind the
    last end is cut, too, since it may become a sentence."""
    begin = 0
    for end in [*ends, None]:
        until = len(text) if end is None else end
        while until - begin > MOST_OPEN:
            cut = _cut_place(text, begin, until, protected)
            if cut >= until:
                break
            yield cut
            begin = cut
        if end is not None:
            yield end
            begin = end


def _cut_place(text: str, begin: int, until: int, protected: _Spans) -> int:
    """Return where to cut a sentence that is too long: at the last clause mark or blank within
    `MOST_OPEN` characters, or else at the first one within `MOST_PROTECTED`, or else at `until` at most."""
    most, last = begin + MOST_OPEN, begin + MOST_PROTECTED
    for pattern, least in ((_CLAUSE, begin + MOST_OPEN // 3), (_BLANK, begin)):
        places = [found.end() for found in pattern.finditer(text, begin, most)]
        places = [place for place in places if least < place <= most and not _is_inside(protected, place)]
        if places:
            return places[-1]
    for found in _BLANK.finditer(text, most, last):
        if not _is_inside(protected, found.end()):
            return found.end()
    return _whole_character(text, min(last, until))


def _whole_character(text: str, place: int) -> int:
    while 0 < place < len(text) and unicodedata.category(text[place])[0] == "M":
        place -= 1
    return place
