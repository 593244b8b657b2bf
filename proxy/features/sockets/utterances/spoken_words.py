"""When the words of an utterance are heard, and which were heard until a moment."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.features.sockets.utterances.cutter import Cut, SsmlCut
from proxy.features.sockets.utterances.values import PlacedWord
from proxy.speech.spoken_word import SpokenWord
from proxy.speech_steps.word_times import find_words, letters
from speech_engine import Segment


class PieceWords:
    """The words of one piece. It begins at `begins_s` of the utterance, and has an estimated length until it
    is over. `spoken` is the text of its request. Words come in their order."""

    def __init__(self, cut: Cut, begins_s: float, length_s: float, spoken: str = "") -> None:
        self.cut = cut
        self._words = cut.speakable
        self._spoken = spoken
        self._found_to = 0
        self.begins_s = begins_s
        self.length_s = length_s
        # The start in the utterance, and the place in all text, of each word whose time is known.
        self._timed: list[tuple[float, int, int]] = []
        self._placed_count = 0

    def note_spoken(self, words: Sequence[SpokenWord] | None, *, is_over: bool = False) -> list[PlacedWord]:
        """Take all words with a time so far. Return those whose end became known: at the next word, or when
        the piece is over."""
        start = self.cut.start
        for word in (words or ())[len(self._timed) :]:
            begins_s, place = self.begins_s + word.start_seconds, self._find_place(word)
            self._timed.append((begins_s, start + place[0], start + place[1]))
        known = len(self._timed) if is_over else len(self._timed) - 1
        placed = [self._placed_word(number) for number in range(self._placed_count, known)]
        self._placed_count = max(self._placed_count, known)
        return placed

    def spoken_to(self, played_s: float) -> int | None:
        """Return the place in all text behind the last word that had begun before a moment of the utterance.
        None: no word had."""
        ends = [end for begins_s, _, end in [*self._timed, *self._estimate_untimed()] if begins_s < played_s]
        return max(ends) if ends else None

    def _find_place(self, word: SpokenWord) -> tuple[int, int]:
        """Return the place of a word in the piece as it was sent. A word that SSML has in place of another
        one is where that is."""
        if not isinstance(self.cut, SsmlCut):
            return word.place
        text = self._spoken[word.source_start : word.source_end]
        found = self._words.find(text, self._found_to)
        begin = self._found_to if found < 0 else found
        self._found_to = begin if found < 0 else begin + len(text)
        return begin, self._found_to

    def _placed_word(self, number: int) -> PlacedWord:
        begins_s, start, end = self._timed[number]
        next_word = self._timed[number + 1 :][:1]
        ends_s = next_word[0][0] if next_word else self.begins_s + self.length_s
        text = self.cut.text[start - self.cut.start : end - self.cut.start]
        return PlacedWord(text, round(begins_s * 1000), round(max(begins_s, ends_s) * 1000), start, end)

    def _estimate_untimed(self) -> list[tuple[float, int, int]]:
        """Return the words without a time yet: they share the estimated length by their letters, from the
        last known word on."""
        text = self._words
        places = list(find_words(text, Segment(text, 0, len(text))))
        letter_count = sum(letters(text[start:end]) for start, end in places) or 1
        at_s, known_to = self.begins_s, 0
        if self._timed:
            at_s, start, end = self._timed[-1]
            known_to = end - self.cut.start
            at_s += self.length_s * letters(text[start - self.cut.start : known_to]) / letter_count
        found = list[tuple[float, int, int]]()
        for start, end in places:
            if start >= known_to:
                found.append((at_s, self.cut.start + start, self.cut.start + end))
                at_s += self.length_s * letters(text[start:end]) / letter_count
        return found


def spoken_to(pieces: Sequence[PieceWords], played_s: float) -> int:
    """Return the place in all text behind the last word that had begun before a moment of the utterance."""
    for piece in reversed(pieces):
        if (place := piece.spoken_to(played_s)) is not None:
            return place
    return 0
