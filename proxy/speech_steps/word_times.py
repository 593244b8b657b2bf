"""The words of an answer: their places in the user's text, and their times.

If an engine gives no times, the words of a sentence share its time by their length.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise

from policies.routing import Candidate
from proxy.speech.call import PartRun
from proxy.speech.spoken_word import SpokenWord, TimedWords
from speech_engine import ModelInfo, Segment, SpeechJob, Word, Words

_Range = tuple[int, int]


class WordPositions:
    """Maps an engine's places within `spoken` to places in the user's text.

    A rewritten word maps to its whole source. Other places are exact if characters were composed, removed or
    collapsed, and proportional if not. `text` begins at `begin` of the user's text. If marks were removed
    from it, `places` are the positions of its characters there.
    """

    def __init__(
        self, text: str, segments: tuple[Segment, ...], begin: int = 0, places: Sequence[int] | None = None
    ) -> None:
        self.text = text
        self.segments = segments
        self._begin = begin
        self._places = places
        self._ranges_by_segment: dict[int, list[_Range]] = {}

    def locate(self, segment: int, word: Word, seconds: float) -> SpokenWord:
        ranges = self._ranges_by_segment.get(segment)
        if ranges is None:
            ranges = self._ranges_by_segment[segment] = self._ranges(self.segments[segment])
        first = min(word.spoken_start, len(ranges) - 1)
        last = min(max(word.spoken_end - 1, first), len(ranges) - 1)
        return SpokenWord(round(seconds, 3), *self.as_sent(ranges[first][0], ranges[last][1]))

    def as_sent(self, start: int, end: int) -> _Range:
        """Return the place in the user's text of a piece of `text` that is not empty."""
        if self._places is not None:
            last = len(self._places) - 1
            return self._places[min(start, last)], self._places[min(end - 1, last)] + 1
        return start + self._begin, end + self._begin

    def _ranges(self, segment: Segment) -> list[_Range]:
        """Return the range in the text for each character of `spoken`."""
        found: list[_Range] = []
        begin, start = 0, segment.source_start
        for one in segment.rewritten:
            found += self._as_written(segment.spoken[begin : one.spoken_start], start, one.source_start)
            found += [(one.source_start, one.source_end)] * (one.spoken_end - one.spoken_start)
            begin, start = one.spoken_end, one.source_end
        return found + self._as_written(segment.spoken[begin:], start, segment.source_end)

    def _as_written(self, spoken: str, start: int, end: int) -> list[_Range]:
        if not spoken:
            return []
        source = self.text[start:end]
        aligned = _align(spoken, source)
        if aligned is None:
            # At least one character wide, when there is one.
            width = max(1, len(source))
            aligned = [min(place * width // len(spoken), width - 1) for place in range(len(spoken))]
        found = []
        for place, following in pairwise([*aligned, len(source)]):
            end = place + 1
            # A separate accent belongs to its letter.
            while end < following and unicodedata.category(source[end])[0] == "M":
                end += 1
            found.append((start + place, start + end))
        return found


def positions_of(run: PartRun, candidate: Candidate, job: SpeechJob) -> WordPositions:
    """Return the positions in the words of a candidate's job, for a part of a text."""
    read = run.text_read(is_untagged=candidate.text_key[1])
    return WordPositions(read, job.segments, run.part.start, run.places)


class CandidateWords(TimedWords):
    """The words of a candidate: as its engine times them, or else by the length of its sentences."""

    def __init__(self, places: WordPositions, info: ModelInfo) -> None:
        self._places = places
        self._info = info
        self._engine_words: list[SpokenWord] = []
        self._growing: GrowingWords | None = None
        self._interpolated: InterpolatedWords | None = None

    def add_timed(self, words: Words, rate_hz: float) -> None:
        found = self._engine_words
        for word in words.words:
            spoken_word = self._places.locate(words.segment, word, word.sample_offset / rate_hz)
            # The words of one expansion are one word of the text, which begins with the first of them.
            if not found or found[-1].place != spoken_word.place:
                found.append(spoken_word)

    def timed_so_far(
        self, moments: Sequence[tuple[int, float]] | None, whole_s: float | None
    ) -> Sequence[SpokenWord] | None:
        if self._info.times_words:
            self._growing = self._growing or GrowingWords(self._places, self._engine_words)
            return self._growing.so_far(whole_s)
        if moments is None:
            return None
        self._interpolated = self._interpolated or InterpolatedWords(self._places, moments)
        return self._interpolated.so_far()


def words_of(run: PartRun, candidate: Candidate, job: SpeechJob) -> TimedWords:
    """Return the words of a candidate's job for a part of a text. Nothing of them is timed yet."""
    info = candidate.model.info
    if info.joins_segments and not info.times_words:
        # The model may speak sentences together or apart, so the times of their words are unknown.
        return TimedWords()
    return CandidateWords(positions_of(run, candidate, job), info)


def _align(spoken: str, source: str) -> list[int] | None:
    """Return the place in the source of each spoken character, or None if the two texts differ."""
    places: list[int] = []
    index = 0
    for character in spoken:
        while index < len(source) and not _same(character, source[index]) and _may_vanish(source[index]):
            index += 1
        if index == len(source) or not _same(character, source[index]):
            return None
        places.append(index)
        index += 1
    return places if places and all(map(_may_vanish, source[index:])) else None


def _same(spoken: str, written: str) -> bool:
    return spoken == written or (spoken == " " and written.isspace()) or _first_part(spoken) == written


@lru_cache(maxsize=1024)
def _first_part(character: str) -> str:
    """Return the letter without its accent: the user may have written `é` as `e` and an accent."""
    return unicodedata.normalize("NFD", character)[0]


def _may_vanish(written: str) -> bool:
    return written.isspace() or unicodedata.category(written)[0] in "CM"  # controls and accents


# Chinese and Japanese words have no blanks, so each character is a word. Dashes separate words.
_IDEOGRAPHS = r"\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_TOKEN = re.compile(rf"[{_IDEOGRAPHS}]|[^\s\u2012-\u2015\u2026{_IDEOGRAPHS}]+")


class InterpolatedWords:
    """The words of the finished sentences, with times within their sentence.

    `moments` grows: it has the number of each sentence that began, with its start in the answer, and at the
    end the next number with the end of the sound. The words only grow, too. If a sentence with words has no
    moment, because the engine joined sentences, no more words get a time.
    """

    def __init__(self, places: WordPositions, moments: Sequence[tuple[int, float]]) -> None:
        self._places = places
        self._moments = moments
        self._seen_count = 0
        self._timed_words: list[SpokenWord] = []
        self._is_whole = True

    def so_far(self) -> Sequence[SpokenWord] | None:
        """Return the timed words so far, or None if no word will ever have a time."""
        while self._seen_count < len(self._moments):
            following, until_s = self._moments[self._seen_count]
            number, since_s = self._moments[self._seen_count - 1] if self._seen_count else (-1, 0.0)
            self._seen_count += 1
            self._is_whole = self._is_whole and not any(map(self._has_words, range(number + 1, following)))
            if self._is_whole and 0 <= number < len(self._places.segments):
                self._timed_words += interpolate(self._places, number, since_s, until_s)
        return self._timed_words if self._timed_words or self._is_whole else None

    def _has_words(self, number: int) -> bool:
        segments = self._places.segments
        return number < len(segments) and any(find_words(self._places.text, segments[number]))


def interpolate(places: WordPositions, number: int, since_s: float, until_s: float) -> list[SpokenWord]:
    text, segment = places.text, places.segments[number]
    words = list(find_words(text, segment))
    lengths = _lengths(text, words, segment)
    letter_s = (until_s - since_s) / (sum(lengths) or 1.0)
    befores = accumulate(lengths, initial=0.0)
    return [
        SpokenWord(
            round(min(until_s, since_s + letter_s * before), 3), *places.as_sent(*word), True, index == 0
        )
        for index, (word, before) in enumerate(zip(words, befores, strict=False))
    ]


def find_words(text: str, segment: Segment) -> Iterator[_Range]:
    """Yield the places of the words with a letter or a digit, without the punctuation around them."""
    for token in _TOKEN.finditer(text, segment.source_start, segment.source_end):
        start, end = token.span()
        if not any(map(str.isalnum, token[0])):
            continue
        while unicodedata.category(text[start])[0] == "P":
            start += 1
        while unicodedata.category(text[end - 1])[0] == "P":
            end -= 1
        yield start, end


def _lengths(text: str, words: list[_Range], segment: Segment) -> list[float]:
    """Return the spoken letters of each word: `12` is as long as `twelve`."""
    rewritten = segment.rewritten
    # The spoken letters for each rewritten character.
    rates = [
        letters(segment.spoken[one.spoken_start : one.spoken_end]) / max(1, one.source_end - one.source_start)
        for one in rewritten
    ]
    lengths: list[float] = []
    index = 0
    for start, end in words:
        length = 0.0
        while index < len(rewritten) and rewritten[index].source_start < end:
            one = rewritten[index]
            first, last = max(start, one.source_start), min(end, one.source_end)
            if first < last:
                length += letters(text[start:first]) + rates[index] * (last - first)
                start = last
            # A rewriting that extends further belongs to the next word, too.
            if one.source_end > end:
                break
            index += 1
        lengths.append(length + letters(text[start:end]))
    return lengths


def letters(text: str) -> int:
    return sum(map(str.isalnum, text))


class GrowingWords:
    """The words of `engine_words`, which grows, and between them all other words with a letter or a digit.

    A word without a time gets one when the engine's next word comes, or when the sound is complete: it shares
    the time with the previous word, by their length. So the words only grow.
    """

    def __init__(self, places: WordPositions, engine_words: Sequence[SpokenWord]) -> None:
        self._text = places.text
        self._places = places
        self._engine_words = engine_words
        self._seen_count = 0
        self._rest_of_words = _words_of_text(places)
        self._next = next(self._rest_of_words, None)
        # The start and the letters of the engine's last word.
        self._since_s = 0.0
        self._letters = 0
        self._timed_words: list[SpokenWord] = []

    def so_far(self, whole_s: float | None = None) -> Sequence[SpokenWord]:
        """Return the timed words so far. `whole_s` is the length of the sound when it is complete."""
        while self._seen_count < len(self._engine_words):
            word = self._engine_words[self._seen_count]
            self._seen_count += 1
            self._fill(list(self._words_before(word.source_start)), word.start_seconds)
            self._timed_words.append(word)
            self._since_s, self._letters = word.start_seconds, 0
            while self._next is not None and self._place(self._next)[0] < word.source_end:
                self._letters += letters(self._text[slice(*self._next)])
                self._next = next(self._rest_of_words, None)
        if whole_s is not None:
            self._fill(list(self._words_before(None)), whole_s)
        return self._timed_words

    def _place(self, written: _Range) -> _Range:
        return self._places.as_sent(*written)

    def _words_before(self, until: int | None) -> Iterator[_Range]:
        """Yield the words without a time of the engine, up to a place in the user's text."""
        while self._next is not None and (until is None or self._place(self._next)[1] <= until):
            yield self._next
            self._next = next(self._rest_of_words, None)

    def _fill(self, words: list[_Range], until_s: float) -> None:
        lengths = [self._letters, *(letters(self._text[start:end]) for start, end in words)]
        letter_s = max(0.0, until_s - self._since_s) / sum(lengths) if words else 0.0
        for written, before in zip(words, accumulate(lengths), strict=False):
            seconds = round(self._since_s + letter_s * before, 3)
            self._timed_words.append(SpokenWord(seconds, *self._place(written), is_interpolated=True))


def _words_of_text(places: WordPositions) -> Iterator[_Range]:
    for segment in places.segments:
        yield from find_words(places.text, segment)
