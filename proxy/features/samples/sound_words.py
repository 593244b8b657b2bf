"""Words for what was measured of a voice: its pitch, and its pace.

The bounds are the thirds of Kokoro's 41 voices in their samples: the pitch by gender, the pace by language. A
language with fewer than six of these voices has the spread of English around its own mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from policies.language import base_tag
from proxy.features.voice_list.voice_samples import Pace, Pitch


class Bounds(NamedTuple):
    lower: float
    upper: float


PITCH_HZ: Mapping[str, Bounds] = {
    "female": Bounds(172.5, 191.5),
    "male": Bounds(114.0, 123.5),
    "": Bounds(128.0, 173.5),
}
"""By gender. Voices of another gender, or of none, have the bounds of all."""
WORDS_A_MINUTE: Mapping[str, Bounds] = {
    "en": Bounds(206.0, 225.0),
    "es": Bounds(185.5, 203.0),
    "fr": Bounds(181.0, 198.0),
    "hi": Bounds(126.0, 138.0),
    "it": Bounds(169.5, 185.0),
    "pt": Bounds(181.5, 198.5),
}
"""By language: those of Kokoro whose words have blanks between them."""


def pitch_word(hz: float | None, gender: str | None) -> Pitch | None:
    if hz is None:
        return None
    bounds = PITCH_HZ.get(gender or "", PITCH_HZ[""])
    return "low" if hz < bounds.lower else "middle" if hz < bounds.upper else "high"


def pace_word(words_a_minute: float | None, language: str) -> Pace | None:
    bounds = WORDS_A_MINUTE.get(base_tag(language))
    if words_a_minute is None or bounds is None:
        return None
    if words_a_minute < bounds.lower:
        return "slow"
    return "measured" if words_a_minute < bounds.upper else "quick"
