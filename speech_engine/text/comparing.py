"""Compare a text with what was heard of it: two whole texts, and what is known of the sound besides.

Both texts come as a front-end prepared them, for a recogniser writes "$5" for words. What differs is compared
by its readings, then by its sounds. What a recogniser believes of a word may only make a verdict milder.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

from speech_engine.text.english_readings import NUMBER_WORDS, american_spelling, is_english
from speech_engine.text.said import SpokenWords, TranscriptJudge, words_of

Verdict = Literal["right", "unsure", "wrong"]
Sounds = Callable[[str], str]
"""Tells how words sound, as espeak-ng writes it; "" if that is not known."""

NEAR = 0.6
"""A rare word is heard if no more of its sounds differ than this part of them."""

LIKELY = 0.3
"""A word that differs but is so likely in this sound may have been heard wrong."""

LONGEST_SILENCE_S = 0.3
_LEAST_LENGTH, _MOST_LENGTH = 0.90, 1.11
"""The lengths of a voice's right sentences, as parts of what was expected: 1st and 99th percentile."""

_MOST_PAIRS = 50_000
_MOST_SOUNDED_CHARACTERS = 200
_BEFORE_WORDS = "\u00a1\u00bf\"'(\u201c\u00ab "
_SHORTEST_NAME = 2
_Place = tuple[int, int, int, int]
"""Two ranges that differ: begin and end in the wanted words, then in the transcribed ones."""
_STRESS = str.maketrans("", "", "\u02c8\u02cc -\u200d_")


class ScoredWord(NamedTuple):
    """A word of the wanted text as it is written there, where it starts and how likely it is in this sound.

    `pieces` are its letters' tokens in the recogniser's list: a common word has one.
    """

    text: str
    start_s: float
    likely: float
    pieces: int

    def __repr__(self) -> str:
        return f"<ScoredWord at {self.start_s:.2f} s>"


class Evidence(NamedTuple):
    """What is known of a sound beside its words.

    `silences` are those between its first sound and its last, and need `scores`. `length` is that of the
    sound, as a part of what this voice usually needs for the text.
    """

    sounds: Sounds | None = None
    scores: Sequence[ScoredWord] = ()
    silences: Sequence[tuple[float, float]] = ()
    length: float = 1.0


NO_EVIDENCE = Evidence()


class WordRun(NamedTuple):
    """Words that differ: those of the text from its word `at` on, and those that were heard instead."""

    at: int
    wanted: tuple[str, ...]
    transcribed: tuple[str, ...]
    verdict: Verdict

    def __repr__(self) -> str:
        return f"<WordRun {self.verdict}: {len(self.wanted)} words as {len(self.transcribed)}>"


class WordComparison(NamedTuple):
    """A verdict, and the runs that are not right. `share` is the part of the text's words that were heard, in
    order."""

    verdict: Verdict
    runs: tuple[WordRun, ...]
    share: float


def compare(text: str, transcript: str, language: str, evidence: Evidence = NO_EVIDENCE) -> WordComparison:
    """Compare what was heard with the wanted text. What may be the same in sound is "unsure" without sounds.

    The texts are a sentence or some: of very long ones that differ, all from there on is one run.
    """
    wanted, transcribed = _tokens(text, language), _tokens(transcript, language)
    runs = tuple(_RunJudge(language, evidence, wanted).runs(wanted, transcribed))
    missed = sum(len(run.wanted) for run in runs)
    verdict = worst([run.verdict for run in runs])
    if verdict == "right" and wanted and not _has_usual_sound(evidence):
        verdict = "unsure"
    return WordComparison(verdict, runs, 1 - missed / len(wanted) if wanted else float(not transcribed))


def count_surplus_words(runs: Iterable[WordRun]) -> int:
    """Return how many heard words stand for no other."""
    return sum(max(0, len(run.transcribed) - len(run.wanted)) for run in runs)


def texts_to_sound(judge: Callable[[Sounds], object]) -> tuple[str, ...]:
    """Return the texts whose sounds a judgement asks for. `judge` gets sounds that are not known."""
    needed: dict[str, None] = {}

    def note(words: str) -> str:
        needed[words] = None
        return ""

    judge(note)
    return tuple(needed)


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    return max(verdicts, key=("right", "unsure", "wrong").index, default="right")


def distance(wanted: str, transcribed: str) -> float:
    """Return how much differs of how words sound, as a part of the wanted ones: 1 if nothing is alike."""
    row = list(range(len(transcribed) + 1))
    for at, sound in enumerate(wanted, 1):
        previous, row[0] = row[:], at
        for place, other in enumerate(transcribed, 1):
            row[place] = min(previous[place] + 1, row[place - 1] + 1, previous[place - 1] + (sound != other))
    return row[-1] / len(wanted) if wanted else 1.0


def sounds_of(words: Sequence[str], sounds: Sounds) -> str:
    """Return how words sound, to be compared. Very long ones are not asked for."""
    text = unicodedata.normalize("NFC", " ".join(words))
    return plain_sounds(sounds(text)) if 0 < len(text) <= _MOST_SOUNDED_CHARACTERS else ""


def plain_sounds(sounds: str) -> str:
    """Return sounds without their stress, and without blanks."""
    return sounds.translate(_STRESS)


class _RunJudge:
    """Judges runs of one text. `_scores` has one for each wanted token, or is None if they are unknown."""

    def __init__(self, language: str, evidence: Evidence, wanted: Sequence[str]) -> None:
        self._judge = TranscriptJudge(language, contractions=True)
        self._is_english = is_english(language)
        self._sounds = evidence.sounds
        scored = [(token, word) for word in evidence.scores for token in _tokens(word.text, language)]
        self._scores = (
            [word for _, word in scored] if [token for token, _ in scored] == list(wanted) else None
        )

    def _is_read_alike(self, wanted: Sequence[str], transcribed: Sequence[str]) -> bool:
        return self._judge.is_same(SpokenWords(tuple(wanted)), SpokenWords(tuple(transcribed)))

    def runs(self, wanted: Sequence[str], transcribed: Sequence[str]) -> Iterator[WordRun]:
        """Yield the runs that are not right."""
        is_alike = self._is_read_alike(wanted, transcribed)
        for place in [] if is_alike else _differing_places(wanted, transcribed):
            if not self._is_same(wanted, transcribed, place):
                begin, end, first, last = place
                run = WordRun(begin, tuple(wanted[begin:end]), tuple(transcribed[first:last]), "wrong")
                if (verdict := self._verdict(run)) != "right":
                    yield run._replace(verdict=verdict)

    def _is_same(self, wanted: Sequence[str], transcribed: Sequence[str], place: _Place) -> bool:
        """Return whether a run is read the same, or sounds the same with a neighbour on each side."""
        begin, end, first, last = place
        is_whole = end - begin == len(wanted) and last - first == len(transcribed)
        if not is_whole and self._is_read_alike(wanted[begin:end], transcribed[first:last]):
            return True
        if self._sounds is None or begin == end or first == last:
            return False
        one = self._sounds_of(wanted[max(0, begin - 1) : end + 1])
        other = self._sounds_of(transcribed[max(0, first - 1) : last + 1])
        return one == other != ""

    def _sounds_of(self, words: Sequence[str]) -> str:
        return sounds_of(words, self._sounds) if self._sounds else ""

    def _verdict(self, run: WordRun) -> Verdict:
        if run.wanted and run.transcribed and (self._sounds is None or self._scores is None):
            return "unsure"
        is_by_word = len(run.wanted) == len(run.transcribed)
        parts = [(word,) for word in run.transcribed] if is_by_word else [run.transcribed] * len(run.wanted)
        words = enumerate(zip(run.wanted, parts, strict=True), run.at)
        return worst([self._verdict_of_word(at, *pair) for at, pair in words]) if run.wanted else "wrong"

    def _verdict_of_word(self, at: int, wanted: str, transcribed: tuple[str, ...]) -> Verdict:
        if self._scores is None:
            return "wrong"
        score = self._scores[at]
        if transcribed and self._is_rare(wanted, score):
            parts = (transcribed, transcribed[1:], transcribed[:-1])
            whole, *shorter = [distance(self._sounds_of([wanted]), self._sounds_of(part)) for part in parts]
            # A word beside it that takes it further away was added.
            return "right" if whole <= NEAR and whole <= min(shorter) else "unsure"
        may_be = score.likely >= LIKELY or (transcribed and self._is_name(at, score))
        return "unsure" if may_be else "wrong"

    def _is_name(self, at: int, score: ScoredWord) -> bool:
        """Return whether a word has a capital inside a sentence: a recogniser may spell another name."""
        before = self._scores[at - 1].text.rstrip() if self._scores and at else ""
        word = score.text.strip(_BEFORE_WORDS)
        return len(word) > _SHORTEST_NAME and word[0].isupper() and before[-1:] not in ("", *".!?:\u2026")

    def _is_rare(self, word: str, score: ScoredWord) -> bool:
        """Return whether a recogniser may well not know the word. Outside English that is a name."""
        if score.pieces < 2 or not unicodedata.normalize("NFC", word).isalpha() or word in NUMBER_WORDS:
            return False
        return self._is_english or score.text.strip(_BEFORE_WORDS)[:1].isupper()


def _tokens(text: str, language: str) -> tuple[str, ...]:
    tokens = words_of(text).tokens
    return tuple(map(american_spelling, tokens)) if is_english(language) else tokens


def _has_usual_sound(evidence: Evidence) -> bool:
    """Return whether a sound of the right words has no hole, and the length that its text needs."""
    silences = [(begin + end) / 2 for begin, end in evidence.silences if end - begin >= LONGEST_SILENCE_S]
    is_whole = all(_is_at_mark(middle, evidence.scores) for middle in silences)
    return is_whole and _LEAST_LENGTH <= evidence.length <= _MOST_LENGTH


def _is_at_mark(second: float, words: Sequence[ScoredWord]) -> bool:
    """Return whether the text has a mark at this place, or begins there."""
    before = [word for word in words if word.start_s < second]
    return not before or (len(before) < len(words) and not before[-1].text.strip()[-1:].isalnum())


def _differing_places(wanted: Sequence[str], transcribed: Sequence[str]) -> list[_Place]:
    if len(wanted) * len(transcribed) > _MOST_PAIRS:
        return [(0, len(wanted), 0, len(transcribed))]
    codes = SequenceMatcher(None, wanted, transcribed, autojunk=False).get_opcodes()
    return [(a, b, c, d) for kind, a, b, c, d in codes if kind != "equal"]
