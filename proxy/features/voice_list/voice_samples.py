"""Samples by which visitors hear a voice, and measurements of their sound. A feature shares a subclass of
`NoVoiceSamples`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Literal

import msgspec

from policies.routing import Voice

Pitch = Literal["low", "middle", "high"]
Pace = Literal["slow", "measured", "quick"]


class MadeSample(msgspec.Struct, frozen=True, kw_only=True):
    """A sample. `address` begins with /v1, and is "" while the sample is not made yet. The other values are
    measured. A sound without a clear pitch has no pitch."""

    address: str
    pitch_hz: float | None = None
    words_a_minute: float | None = None
    pitch: Pitch | None = None
    pace: Pace | None = None


class FrontSample(msgspec.Struct, frozen=True, kw_only=True):
    """The longer sample of a language of the front, and the voice that speaks it."""

    address: str
    voice: str
    text: str


class NoVoiceSamples:
    """The samples of a server that makes none. The methods answer from memory, and cause no speech."""

    def sample_of(self, voice: Voice, language: str | None = None) -> MadeSample | None:
        """Return the sample of a voice, in its own language or in that of the front, if it is made."""
        del voice, language
        return None

    def front_sample(self, language: str) -> FrontSample | None:
        """Return the longer sample of a language, such as `pt-BR`, if it is made."""
        del language
        return None

    def show_on_front(self, voices: Callable[[], Collection[str]]) -> None:
        """Take the function that returns the ids of the voices that the front shows now. Their samples are
        open to everybody, are made first, and are dropped last."""
        del voices
