"""Which of espeak-ng's groups of sounds is which word."""

import random
import time

from plugins.kokoro.word_places import word_places
from tests.tables import each_row


def placed(text: str, sounds: str) -> list[tuple[str, str]]:
    """Return each word, and the sounds from its beginning to the end of its group."""
    return [
        (text[place.start : place.end], sounds[round(place.sound) :].partition(" ")[0])
        for place in word_places(text, list(sounds))
    ]


@each_row(
    ("text", "sounds", "words"),
    [
        ("The boat.", "\u00f0\u0259 b\u02c8Ot.", "The=\u00f0\u0259 boat=b\u02c8Ot."),
        # Two words of one group share it by their letters.
        (
            "It is on the lake.",
            "\u026at \u026az \u0254n\u00f0\u0259 l\u02c8Ak.",
            "It=\u026at is=\u026az on=\u0254n\u00f0\u0259 the=\u00f0\u0259 lake=l\u02c8Ak.",
        ),
        # A word of several groups.
        (
            "Bus 24 is late.",
            "b\u02c8\u028cs tw\u02c8\u025bnti f\u02c8\u0254\u0279 \u026az l\u02c8At.",
            "Bus=b\u02c8\u028cs 24=tw\u02c8\u025bnti is=\u026az late=l\u02c8At.",
        ),
        # A comma tells where the joined words are.
        (
            "On the sea, on a sea.",
            "\u0254n\u00f0\u0259 s\u02c8i, \u0254n \u0259 s\u02c8i.",
            "On=\u0254n\u00f0\u0259 the=\u00f0\u0259 sea=s\u02c8i, on=\u0254n a=\u0259 sea=s\u02c8i.",
        ),
        (
            "On a sea, on the sea.",
            "\u0254n \u0259 s\u02c8i, \u0254n\u00f0\u0259 s\u02c8i.",
            "On=\u0254n a=\u0259 sea=s\u02c8i, on=\u0254n\u00f0\u0259 the=\u00f0\u0259 sea=s\u02c8i.",
        ),
        # Signs are no words, and a dash parts two.
        (
            "\u201cGo!\u201d \u2014she said\u2014",
            "\u0261\u02ccO! \u0283i s\u02c8\u025bd",
            "Go=\u0261\u02ccO! she=\u0283i said=s\u02c8\u025bd",
        ),
        ("\u0939\u0948 \u0939\u0948", "h\u025b h\u025b", "\u0939\u0948=h\u025b \u0939\u0948=h\u025b"),
        ("* \U0001f600", "a", ""),
        ("a", "", ""),
        ("a", ". ,", ""),
        ("", "a", ""),
        # More groups than words can have, and fewer than they need.
        ("a", " ".join("a" * 7), ""),
        ("a b c", "abc", ""),
    ],
)
def test_groups_of_sounds_are_given_to_words(text: str, sounds: str, words: str) -> None:
    assert [f"{word}={group}" for word, group in placed(text, sounds)] == words.split()


def test_a_long_text_of_anything_is_aligned_or_not_within_a_second() -> None:
    chance = random.Random(82)
    for sounds in (" ".join("a" * 2048), " ".join("a" * 300), "".join(chance.choices("a b,", k=4096))):
        began = time.process_time()
        found = word_places(" ".join("a" * 2048), list(sounds))
        assert time.process_time() - began < 1
        assert [place.sound for place in found] == sorted(place.sound for place in found)
        assert len(found) in (0, 2048)
