"""The judge himself, before anybody speaks: what is no speech is no sentence."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.heard.judge import MOST_SECONDS, SENTENCES, which_sentence, which_sentences
from tests.sound import Heard
from tests.tables import each_row

RATE_HZ = 24_000
SECONDS = 4
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


def _noise(level: float) -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(0, level, SECONDS * RATE_HZ).astype(np.float32)


def _tone() -> NDArray[np.float32]:
    return (np.sin(2 * np.pi * 220 * np.arange(SECONDS * RATE_HZ) / RATE_HZ) / 3).astype(np.float32)


SOUNDS = {
    "nothing": np.zeros(0, np.float32),
    "silence": np.zeros(SECONDS * RATE_HZ, np.float32),
    "a whisper of noise": _noise(0.001),
    "noise": _noise(0.1),
    "loud noise": _noise(0.5),
    "a tone": _tone(),
}


@each_row("name", SOUNDS)
def test_what_is_no_speech_is_no_sentence(name: str) -> None:
    heard = Heard(SOUNDS[name], RATE_HZ)
    assert which_sentence(heard) is None
    assert which_sentences(heard) == ()


def test_a_sound_without_end_is_refused() -> None:
    with pytest.raises(AssertionError, match="no clip of a test"):
        which_sentence(Heard(np.zeros(round((MOST_SECONDS + 1) * 8_000), np.float32), 8_000))


def test_a_word_without_sounds_is_named() -> None:
    with pytest.raises(AssertionError, match="'zzyzyx'"):
        which_sentence(Heard(_noise(0.1), RATE_HZ), ("Go to zzyzyx.", *SENTENCES))
