"""How often a voice is heard wrong. A feature shares a subclass of `NoMisheardRates`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

LEAST_WORDS = 500
"""A rate of fewer words says nothing."""


class MisheardRate(msgspec.Struct, frozen=True, kw_only=True):
    """How a model was heard with a voice in a language, over so many `words`, by the recogniser `recogniser`.

    A part of each rate is the recogniser's own. So `usual_per_thousand` is the rate of all voices that this
    server has for everybody.
    """

    engine: str
    model: str
    language: str
    recogniser: str
    words: int
    wrong_per_thousand: float
    unsure_per_thousand: float
    again: int
    usual_per_thousand: float | None = None


class NoMisheardRates:
    """The rates of a server that hears nothing."""

    async def find_rates(self, voice: str) -> Sequence[MisheardRate]:
        """Return the rates of a voice over `LEAST_WORDS` words or more, the most heard model first."""
        del voice
        return ()
