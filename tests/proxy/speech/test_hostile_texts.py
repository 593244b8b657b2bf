"""No text keeps a reader of texts long: while a pattern is tried, its thread has the interpreter's lock.

A pattern that begins again at each character of a run takes the square of its length.
"""

import time
from collections.abc import Callable, Mapping, Sequence

import pytest

from plugins.espeak import safe_text
from plugins.pycld2.plugin import Cld2Detector
from policies import estimate, language, lexicon, segments, text_tags
from policies.text_tags import EMOTIONS
from proxy.engines import registry
from proxy.speech.front_ends import open_front_ends
from proxy.speech.speech_body import MAX_INPUT
from proxy.speech_steps import word_times
from speech_engine import Segment
from speech_engine.text import cleaning, comparing, english_readings, said, sounds
from speech_engine.text.sentences import sentence_ends
from speech_engine.text.words import word_finder
from tests.tables import each_row, soak

pytestmark = pytest.mark.slow

MOST_S = 0.2
"""Of one reader's CPU time. The slowest takes half of it, a pattern that takes the square of a run twice."""
TRIES = 3
"""The fastest of these counts: on a busy machine the same work takes more CPU time, too."""

OF_BLANKS = (" ", "\t", "\n", "a ", ". ", "a. ", "1 ", "½ ", "กๆ ")
OF_SIGNS = (".", ",", "…", "?!", "...", "-", "[", "(", "\"'", "://", "@", "&", "_", "$", "+", "=", "/")
OF_LETTERS = (
    "a",
    "A",
    "a.",
    "A.",
    "a-",
    "a@",
    "a_",
    "ก",
    "ก.",
    "เ",
    "ๆ",
    "中",
    "I",
    "l'",
    "[a]",
    "[a",
    "[sad]a",
)
OF_DIGITS = ("1", "1,", "1.", "1-", "1/", "1:", "-1 ", "$1", "12345 ", "1/2 ", "๑", "½", "²", "1st ")
OF_MARKS = ("\u0301", "e\u0301", "\u0e31", "\u200d", "😀", "\ufdfa")
UNITS = OF_BLANKS + OF_SIGNS + OF_LETTERS + OF_DIGITS + OF_MARKS
BEGINNINGS = ("a ", "สวัสดี ")
TAIL = "x"

WORDS = {"a a": "b", "กก": "b", "a": "/a/", "1 1": "b"} | {"ก" * n: "b" for n in range(3, 60)}
CAST = ("Ana", "a")

READERS: dict[str, Callable[[str], object]] = {
    "cleaned": cleaning.cleaned,
    "composed": cleaning.composed,
    "sentences": lambda text: sentence_ends(text, "en"),
    "language": lambda text: language.language_of_text(text, Cld2Detector().rank, "en"),
    "languages of sentences": lambda text: language.sentence_languages(
        text, sentence_ends(text, "en"), "en", Cld2Detector().rank
    ),
    "turns": lambda text: text_tags.find_turns(text, CAST),
    "emotions": lambda text: [
        (text_tags.split_turn(text, turn, EMOTIONS), text_tags.without_tags(text))
        for turn in text_tags.find_turns(text)
    ],
    "pieces": lambda text: segments.fit_segments((Segment(text, 0, len(text)),), 100),
    "words of a lexicon": lambda text: list(word_finder(WORDS).find(text)),
    "added by a lexicon": lambda text: lexicon.count_added(WORDS, text),
    "length": lambda text: estimate.speech_seconds(text, 1.0),
    "words for times": lambda text: list(word_times.find_words(text, Segment(text, 0, len(text)))),
    "espeak": lambda text: safe_text.safe(text, "roa/pt"),
    "sounds": sounds.safe_text,
    "transcript": lambda text: said.TranscriptJudge("en").says_all(text, f"{text} y"),
    "comparison": lambda text: comparing.compare(f"x {text}", f"{text} y", "en"),
    "times of a transcript": english_readings.times_written,
}
FRONT_ENDS = [("latin", "en"), ("latin", "es"), ("latin", "pt"), ("plain", "ja"), ("pythainlp", "th")]


def texts(units: Sequence[str]) -> list[str]:
    return [
        beginning + (unit * MAX_INPUT)[: MAX_INPUT - len(beginning) - 1] + TAIL
        for unit in units
        for beginning in (BEGINNINGS if unit in OF_SIGNS else BEGINNINGS[:1])
    ]


def slow(read: Callable[[str], object], units: Sequence[str]) -> list[tuple[str, float]]:
    """The texts of these units that take too long, by their beginnings. On a busy machine any text may: then
    only one that takes over three times as long as its half takes the square."""
    found = []
    for text in texts(units):
        took_s = best_of_tries_s(read, text)
        if took_s >= MOST_S and took_s > 3 * best_of_tries_s(read, text[: len(text) // 2]):
            found.append((text[:12], took_s))
    return found


def best_of_tries_s(read: Callable[[str], object], text: str) -> float:
    took_s = float("inf")
    for _ in range(TRIES):
        began = time.thread_time()
        read(text)
        took_s = min(took_s, time.thread_time() - began)
        if took_s < MOST_S:
            break
    return took_s


def some(number: int, is_whole: bool) -> Sequence[str]:
    """A third of the units, so that each is met by every third reader."""
    return UNITS if is_whole else UNITS[number % 3 :: 3]


@pytest.mark.parametrize("is_whole", [False, *soak(True)])
@each_row(("number", "reader"), enumerate(READERS))
def test_no_text_takes_the_square_of_its_length(number: int, reader: str, is_whole: bool) -> None:
    READERS[reader]("Olá. A first use loads what is read once.")
    assert not slow(READERS[reader], some(number, is_whole))


@pytest.mark.parametrize("is_whole", [False, *soak(True)])
@each_row(("number", "name", "tag"), [(at, *each) for at, each in enumerate(FRONT_ENDS)])
async def test_no_front_end_does(number: int, name: str, tag: str, is_whole: bool) -> None:
    async with open_front_ends(registry.load()) as front_ends:

        def found(prepare: Callable[[str, str, Mapping[str, str]], object]) -> list[tuple[str, float]]:
            prepare("Olá.", tag, {})
            return slow(lambda text: prepare(text, tag, {}), some(number, is_whole))

        assert not await front_ends.use(name, found, is_short=False)
