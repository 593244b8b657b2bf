"""How often the words of a voice are heard wrong. A feature shares a subclass of `NoMisheardRates`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

LEAST_WORDS = 500
"""The fewest words of a rate."""


class MisheardRate(msgspec.Struct, frozen=True, kw_only=True):
    """How many of the `words` that a model spoke with a voice in a language the `recogniser` heard wrong.

    A part of each rate is mistakes of the recogniser. `usual_per_thousand` is the rate of all voices that
    this server offers to everybody, to compare with. `again` counts the parts that were spoken again.
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
