"""Writes subtitles: the words of the user's text in cues, with the times of their sound.

A cue has up to two lines, and ends at a sentence or a pause if possible. Cues never overlap. Text that is not
spoken, such as tags of speakers, is left out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from policies import text_tags
from proxy.features.transcriptions.formats import cue
from proxy.speech.spoken_word import SpokenWord
from proxy.speech_steps.word_times import GrowingWords, WordPositions
from speech_engine import Segment

SUBTITLES = {"srt": "application/x-subrip", "vtt": "text/vtt"}
LINE_WIDTH = 42
"""The width of a line, in letters. Letters of Chinese and Japanese count twice."""
_MOST_S = 7.0
"""A cue ends once it has lasted so long."""
_LEAST_S = 1.2
"""A shorter sentence shares its cue with the next one."""
_PAUSE_S = 0.6
_LETTER_S = 0.12
"""The time of a letter for a slow speaker. If a word takes longer, the rest of its time is a pause."""

_BLANKS = re.compile(r"\s+")
_PARAGRAPH = re.compile(r"\n\s*\n")
_NOT_SPOKEN = re.compile(r"\[[^\[\]\n]*\]|[*_`#~\0]+")
"""Tags, and the marks of Markdown, in the text between two words."""
_LINK = re.compile(r"\[([^\[\]\n]+)\](\([^()\s]+\))")
_SENTENCE_ENDS = frozenset(".!?…。！？।؟៕။")
_CLAUSE_ENDS = frozenset(",;:，、；：—–")
# Thai and Lao vowels: no line may begin with a letter of _GOES_ON, or end with a letter of _LEADS.
_GOES_ON = frozenset("ะาำๅๆฯະາຳໆຽ\u200d")
_LEADS = frozenset("เแโใไເແໂໃໄ\u200d")
_NO_BREAK, _BLANK, _CLAUSE, _SENTENCE, _PARAGRAPH_END = range(5)
"""The kinds of break after a unit, from the weakest to the strongest."""


class TimedWord(Protocol):
    """A word of a piece of text: its place there, and the moment when it begins."""

    @property
    def start_seconds(self) -> float: ...

    @property
    def source_start(self) -> int: ...

    @property
    def source_end(self) -> int: ...


def add_times(
    piece: str, cast: Sequence[str], timed: Sequence[SpokenWord], whole_s: float
) -> Sequence[SpokenWord]:
    """Return all words of a piece with times. Words between those of `timed`, whose times are known, share
    the time between them by their number of letters. If `timed` is empty, the pauses that the text asks for
    have no words."""
    # Text that is not spoken becomes blanks, so that the places of the words stay the same.
    spoken = _LINK.sub(
        lambda link: f" {link[1]} " + " " * len(link[2]), text_tags.without_tags(piece)
    ).replace("`", " ")
    turns = text_tags.find_turns(spoken, cast)
    segments = [Segment(spoken[turn.start : turn.end], turn.start, turn.end) for turn in turns]
    words = WordPositions(spoken, tuple(segments))
    if timed or not (pauses := [*text_tags.find_pauses(piece, len(spoken) - len(spoken.lstrip()))]):
        return GrowingWords(words, timed).so_far(whole_s)
    paused_s = sum([pause.seconds for pause in pauses])
    return [
        replace(word, start_seconds=word.start_seconds + _paused_s_before(pauses, word.source_start))
        for word in GrowingWords(words, timed).so_far(max(0.0, whole_s - paused_s))
    ]


def _paused_s_before(pauses: Sequence[text_tags.Pause], place: int) -> float:
    return sum([pause.seconds for pause in pauses if pause.start < place])


class Cue(NamedTuple):
    start_s: float
    end_s: float
    lines: tuple[str, ...]


class _Unit(NamedTuple):
    """A word, or a part of a long word, with the punctuation around it. `ends` is the kind of break after it,
    such as _CLAUSE, and `pause_s` the silence that the text asks for there."""

    text: str
    start_s: float
    ends: int
    pause_s: float = 0.0

    @property
    def width(self) -> int:
        return _width(self.text.rstrip())


def cues(piece: str, words: Sequence[TimedWord], end_s: float) -> list[Cue]:
    """Return the cues of a piece, whose sound ends at `end_s`."""
    units = list(_units(piece, words, end_s))
    found, first = list[Cue](), 0
    while first < len(units):
        stop = _cue_stop(units, first)
        last = units[stop - 1]
        until_s = (units[stop].start_s if stop < len(units) else end_s) - last.pause_s
        # During a long pause after the cue, nothing is shown.
        most_s = last.start_s + _longest_s(last.text) + 2 * _PAUSE_S
        lines = _lines(units[first:stop])
        found.append(Cue(units[first].start_s, min(until_s, most_s), lines or ()))
        first = stop
    return found


def _units(piece: str, words: Sequence[TimedWord], end_s: float) -> Iterator[_Unit]:
    """Yield the words with the punctuation next to them."""
    spoken = list(_in_order(words))
    between = _LINK.sub(lambda link: f"\0{link[1]}\0" + "\0" * len(link[2]), piece)
    begin = 0
    for number, word in enumerate(spoken):
        is_last = number + 1 == len(spoken)
        following = len(piece) if is_last else spoken[number + 1].source_start
        gap = between[word.source_end : following]
        own_length = len(gap) if is_last else _length_at_word(gap)
        before = _NOT_SPOKEN.sub("", between[begin : word.source_start])
        after = _NOT_SPOKEN.sub("", gap[:own_length])
        pause_s = sum([each.seconds for each in text_tags.find_pauses(piece, word.source_end, following)])
        until_s = (end_s if is_last else spoken[number + 1].start_seconds) - pause_s
        text = _BLANKS.sub(" ", before.lstrip() + piece[word.source_start : word.source_end] + after)
        takes_s = _longest_s(text) + _PAUSE_S
        ends = _PARAGRAPH_END if pause_s or _PARAGRAPH.search(gap) else _break_after(text)
        if until_s - word.start_seconds > takes_s:
            ends = max(ends, _SENTENCE)
        *parts, last = _fit_units(text, word.start_seconds, min(until_s, word.start_seconds + takes_s), ends)
        yield from (*parts, last._replace(pause_s=pause_s))
        begin = word.source_end + own_length


def _longest_s(text: str) -> float:
    """Return the seconds that a slow speaker needs for a text. A digit is spoken as a word."""
    return _LETTER_S * sum(5 if each.isdigit() else 1 for each in text)


def _in_order(words: Sequence[TimedWord]) -> Iterator[TimedWord]:
    """Yield words in the order of the text. Of words with the same place, such as those of a number, only the
    first is taken."""
    end, since_s = 0, 0.0
    for word in words:
        if word.source_start >= end and word.source_end > word.source_start and word.start_seconds >= since_s:
            end, since_s = word.source_end, word.start_seconds
            yield word


def _length_at_word(gap: str) -> int:
    """Return how many characters of the gap between two words belong to the first word."""
    blanks = [match.end() for match in _BLANKS.finditer(gap)]
    if blanks:
        return blanks[-1]
    opening = (place for place, each in enumerate(gap) if unicodedata.category(each) in ("Ps", "Pi"))
    return next(opening, len(gap))


def _break_after(text: str) -> int:
    for each in reversed(text.rstrip()):
        if each in _SENTENCE_ENDS:
            return _SENTENCE
        if each in _CLAUSE_ENDS:
            return _CLAUSE
        if unicodedata.category(each) not in ("Pe", "Pf", "Po"):
            break
    return _BLANK if text[-1:].isspace() else _NO_BREAK


def _fit_units(text: str, start_s: float, end_s: float, ends: int) -> Iterator[_Unit]:
    """Yield a word in parts that fit a line. In a language without blanks, a word may be long."""
    begin, length = 0, max(1, len(text))
    while _width(text[begin:].rstrip()) > LINE_WIDTH:
        cut = _part_end(text, begin)
        yield _Unit(text[begin:cut], start_s + (end_s - start_s) * begin / length, _NO_BREAK)
        begin = cut
    yield _Unit(text[begin:], start_s + (end_s - start_s) * begin / length, ends)


def _part_end(text: str, begin: int) -> int:
    """Return the end of the part that begins at `begin`: the last place in a line that separates no
    letters."""
    most, width = begin, 0
    while most < len(text) and width + _width(text[most]) <= LINE_WIDTH:
        width += _width(text[most])
        most += 1
    places = range(most, begin + LINE_WIDTH // 2, -1)
    return next((place for place in places if _may_part(text, place)), max(most, begin + 1))


def _may_part(text: str, place: int) -> bool:
    """Tell whether a line may end at a place: not between a letter and its vowel or accent."""
    if place >= len(text) or text[place] in _GOES_ON or text[place - 1] in _LEADS:
        return False
    return unicodedata.category(text[place])[0] != "M"


def _cue_stop(units: Sequence[_Unit], first: int) -> int:
    """Return the number of the first unit after the cue that begins with the unit `first`."""
    best, best_ends = first + 1, -1
    for number in range(first + 1, len(units) + 1):
        if number > first + 1 and _lines(units[first:number]) is None:
            return best
        if number == len(units):
            return number
        before, spoken_s = units[number - 1], units[number].start_s - units[first].start_s
        is_over = before.ends == _PARAGRAPH_END or (before.ends == _SENTENCE and spoken_s >= _LEAST_S)
        if is_over or spoken_s >= _MOST_S:
            return number
        # Of two equally good ends, the later one is taken, so that no cue is short.
        is_short = number - first < 3
        if before.ends >= best_ends or is_short:
            best, best_ends = number, before.ends if not is_short else -1
    return len(units)


def _lines(units: Sequence[_Unit]) -> tuple[str, ...] | None:
    """Return the units in one line, or in two lines of nearly equal width. None: they do not fit."""
    text = "".join(unit.text for unit in units).strip()
    if _width(text) <= LINE_WIDTH:
        return (text,)
    found, least = None, 0
    for number in range(1, len(units)):
        upper = "".join(unit.text for unit in units[:number]).strip()
        lower = "".join(unit.text for unit in units[number:]).strip()
        longer = max(_width(upper), _width(lower))
        if longer <= LINE_WIDTH and (found is None or longer < least):
            found, least = (upper, lower), longer
    return found


def _width(text: str) -> int:
    return sum(_wide(each) for each in text)


def _wide(letter: str) -> int:
    if letter < "\u0300":
        return 1
    if unicodedata.category(letter)[0] == "M":
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


class CueWriter:
    """Writes cues, piece by piece. No cue begins before the end of the previous one."""

    head, is_vtt = b"", False

    def __init__(self) -> None:
        self._number = 0
        self._until_ms = 0

    def write_cues(self, piece: str, words: Sequence[TimedWord], begins_s: float, ends_s: float) -> bytes:
        """Return the cues of a piece whose sound plays from `begins_s` to `ends_s`."""
        return "".join(self._written(cues(piece, words, ends_s - begins_s), begins_s)).encode()

    def _written(self, found: Sequence[Cue], begins_s: float) -> Iterator[str]:
        for each in found:
            start = max(self._until_ms, round(1000 * (begins_s + each.start_s)))
            end = max(start + 1, round(1000 * (begins_s + each.end_s)))
            self._until_ms, self._number = end, self._number + 1
            yield cue(self._number, start, end, "\n".join(each.lines), is_vtt=self.is_vtt) + "\n"


class VttWriter(CueWriter):
    head, is_vtt = b"WEBVTT\n\n", True


WRITERS: dict[str, Callable[[], CueWriter]] = {"srt": CueWriter, "vtt": VttWriter}
