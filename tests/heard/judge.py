"""A listener who knows ten English sentences, and tells which of them somebody said.

It is no open recognition, which makes too many errors with any synthetic voice: the choice is among ten
sentences or none. A sentence that comes near to one of the ten does not fit its sounds well, and is none.
"""

import math
from functools import cache
from typing import NamedTuple

import numpy as np
import soxr  # type: ignore[import-untyped]
from pocketsphinx import Decoder

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
"""Few of their sounds are alike, and all of their words are in the decoder's dictionary."""

PRONOUNCED = {"voxgate": "V AA K S G EY T"}
"""Words that the dictionary lacks, in its own sounds."""

MOST_SECONDS = 90.0
"""Of one clip: what is longer has not been cut, and a judge must end."""

WORST_FIT = 0.42
"""What a second of speech may lack of a perfect fit, as a logarithm.

Natural voices lack at most 0.25, a low voice of espeak 0.4. Another text that is taken for one of the ten, as
two of twenty were, lacks 0.45 or more.
"""

_RATE_HZ = 16_000
_LEAST_S = 0.3
_ONE, _SEVERAL = "one", "several"

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


class Guess(NamedTuple):
    """What fits best, in order; `misfit` is its distance from a perfect fit, by second."""

    sentences: tuple[str, ...]
    misfit: float


def which_sentence(heard: Heard, among: tuple[str, ...] = SENTENCES) -> str | None:
    """Which of these sentences was said, alone and to its end. None if it was none of them."""
    guess = best_guess(heard, among)
    return guess.sentences[0] if guess is not None and guess.misfit <= WORST_FIT else None


def which_sentences(heard: Heard, among: tuple[str, ...] = SENTENCES) -> tuple[str, ...]:
    """Which of these sentences were said, one after the other. Nothing else may be between them."""
    guess = best_guess(heard, among, alone=False)
    return guess.sentences if guess is not None and guess.misfit <= WORST_FIT else ()


def best_guess(heard: Heard, among: tuple[str, ...] = SENTENCES, *, alone: bool = True) -> Guess | None:
    """What the decoder makes of it, however badly that fits. None if no sentence ends with the sound."""
    assert heard.seconds <= MOST_SECONDS, f"{heard.seconds:.0f} s are no clip of a test"
    if heard.seconds < _LEAST_S:
        return None
    decoder = _decoder(among)
    decoder.activate_search(_ONE if alone else _SEVERAL)
    sound = soxr.resample(heard.samples, heard.sample_rate_hz, _RATE_HZ)
    # Forgets what earlier clips sounded like.
    decoder.reinit_feat()
    decoder.start_utt()
    decoder.process_raw((np.clip(sound, -1, 1) * 32_767).astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()
    found = decoder.hyp()
    sentences = _split(found.hypstr, among) if found is not None and found.score > 0 else None
    return Guess(sentences, -math.log(found.score) / heard.seconds) if sentences else None


def _split(words: str, among: tuple[str, ...]) -> tuple[str, ...]:
    """The sentences that these words are, without a rest; empty if there is one."""
    for sentence in among:
        plain = _words(sentence)
        if words == plain:
            return (sentence,)
        if words.startswith(f"{plain} ") and (rest := _split(words[len(plain) + 1 :], among)):
            return (sentence, *rest)
    return ()


def _words(sentence: str) -> str:
    return "".join(each for each in sentence.lower() if each.isalpha() or each in " '").strip()


@cache
def _decoder(among: tuple[str, ...]) -> Decoder:
    """Made once a process, as it reads a dictionary of 130,000 words."""
    decoder = Decoder(loglevel="FATAL", lm=None)
    for word, sounds in PRONOUNCED.items():
        decoder.add_word(word, sounds, False)
    for word in {word for sentence in among for word in _words(sentence).split()}:
        assert decoder.lookup_word(word), f"the dictionary has no {word!r}: PRONOUNCED can say it"
    choice = " | ".join(map(_words, among))
    for name, repeated in ((_ONE, ""), (_SEVERAL, "+")):
        decoder.add_jsgf_string(
            name, f"#JSGF V1.0;\ngrammar {name};\npublic <said> = ( {choice} ){repeated};\n"
        )
    return decoder
