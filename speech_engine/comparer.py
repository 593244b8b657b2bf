"""The Comparer protocol: tells whether two recordings are of one speaker."""

from __future__ import annotations

from typing import Protocol

import msgspec

COMPARED_RATE_HZ = 16_000
"""Recordings come to a comparer as 16-bit mono PCM at this rate, each with some seconds of speech."""


class SpeakerScale(msgspec.Struct, frozen=True):
    """The scale of a comparer's scores: from `same` on they are of one speaker, below `other` of two."""

    same: float
    other: float


class Comparer(Protocol):
    """Recordings are 16-bit mono PCM with 16,000 samples a second (`COMPARED_RATE_HZ`)."""

    @property
    def scale(self) -> SpeakerScale:
        """Returns the comparer's scale. Its two numbers were measured, and lie between -1 and 1."""
        ...

    def compare(self, one: bytes, other: bytes) -> float:
        """Returns how alike the speakers are, -1 to 1; the order of the two does not matter.

        Synchronous: always called in one thread, never twice at the same time. A recording without
        speech may give any score, but raises nothing.
        """
        ...
