"""The Detector protocol: finds the language of a text, or ranks the languages that it may be in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable


class Detector(Protocol):
    """A detector with one guess at the language of a text."""

    def detect(self, text: str) -> str | None:
        """Returns a tag without region, or None if unsure. Pure, fast, callable from any thread."""
        ...


@runtime_checkable
class RankingDetector(Detector, Protocol):
    """A detector that has more than one guess at a text. The server then calls only `rank`."""

    def rank(self, text: str, usual: str) -> Sequence[str]:
        """Returns the likely tags without region, the likeliest first, or none if unsure.

        Most texts here are in `usual`. A short text is too, unless its words clearly say another language.
        Pure, fast, callable from any thread."""
        ...
