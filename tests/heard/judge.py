"""A listener who knows ten English sentences, and tells which of them somebody said.

Whisper writes down what was said. What is near to one of the ten is that sentence, since a robot is not heard
word by word; what is not is none of them.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from proxy.audio.formats import wav_header
from speech_engine.text.said import words_of
from tests.heard.natural import EARS
from tests.replies import json_of
from tests.server import Server
from tests.sound import Heard

SENTENCES = (
    "The boat sailed slowly across the quiet harbor.",
    "Fresh bread smells wonderful early in the morning.",
    "Please close the window before the storm arrives.",
    "My brother plays the violin every Thursday evening.",
    "A yellow bird was singing in the old apple tree.",
    "Children laughed loudly at the enormous elephant.",
    "Seven soldiers walked over the mountain bridge.",
    "The doctor told him to drink more water.",
    "Purple flowers grow behind my grandmother's house.",
    "Nobody noticed that the kitchen clock had stopped.",
)
"""Few of their words are alike."""

MOST_WRONG, LAST_WRONG = 0.4, 0.6
"""The part of a sentence's letters, and of its last word's, that may be heard wrong. Two sentences here
differ in 0.65 at least."""

OTHERS = (
    "The train to the coast leaves at noon.",
    "Bring me two cups of coffee and a newspaper.",
    "His uncle repairs old bicycles in the garage.",
    "Snow covered every roof in the village.",
    "She forgot her keys on the office desk.",
    "They painted the fence green last summer.",
    "Our teacher speaks four languages fluently.",
    "The soup needs salt and a little pepper.",
    "A small grey cat slept under the table.",
    "Turn left at the bridge and keep driving.",
)


def which_sentence(live: Server, heard: Heard, among: tuple[str, ...] = SENTENCES) -> str | None:
    """Which of these sentences was said, alone and to its end. None if it was none of them."""
    found = which_sentences(live, heard, among)
    return found[0] if len(found) == 1 else None


def which_sentences(live: Server, heard: Heard, among: tuple[str, ...] = SENTENCES) -> tuple[str, ...]:
    """Which of these sentences were said, one after the other. Nothing else may be between them."""
    return _split(words_of(transcript(live, heard)).tokens, among) or ()


def transcript(live: Server, heard: Heard, language: str = "en") -> str:
    """What the ears of a server hear: `tests.heard.natural.speaking` has them with `EARS`."""
    pcm = (np.clip(heard.samples, -1, 1) * 32_767).astype("<i2").tobytes()
    file = wav_header(len(pcm) // 2, heard.sample_rate_hz) + pcm
    asked = {"model": EARS.model.replace("-", "/"), "language": language}
    with live.client(timeout=120.0) as client:
        answer = client.post("/v1/audio/transcriptions", data=asked, files={"file": ("a.wav", file)})
    return str(json_of(answer)["text"])


def edits(wanted: Sequence[str], found: Sequence[str]) -> int:
    """Return the fewest words, or letters, that are left out, added or others."""
    costs = list(range(len(found) + 1))
    for number, word in enumerate(wanted, 1):
        before, costs[0] = costs[0], number
        for place, other in enumerate(found, 1):
            best: int = min(costs[place] + 1, costs[place - 1] + 1, before + (word != other))
            before, costs[place] = costs[place], best
    return costs[-1]


def _split(words: Sequence[str], among: tuple[str, ...]) -> tuple[str, ...] | None:
    """The sentences that these words are, without a rest; None if there is one."""
    if not words:
        return ()
    near = []
    for sentence in among:
        plain = words_of(sentence).tokens
        for end in range(max(1, len(plain) - 3), min(len(words), len(plain) + 3) + 1):
            wrong = _wrong(" ".join(plain), " ".join(words[:end]))
            if wrong <= MOST_WRONG and _wrong(plain[-1], words[end - 1]) <= LAST_WRONG:
                near.append((wrong, end, sentence))
    for _, end, sentence in sorted(near):
        if (rest := _split(words[end:], among)) is not None:
            return (sentence, *rest)
    return None


@lru_cache(maxsize=4096)
def _wrong(wanted: str, found: str) -> float:
    return edits(wanted, found) / len(wanted)
