"""What goes over the pipe between a worker and the process of a comparer."""

from __future__ import annotations

import msgspec


class ComparerReady(msgspec.Struct, frozen=True, tag="comparer_ready"):
    """The comparer has loaded. Its scale says how to read its scores."""

    same: float
    other: float


class ComparisonQuestion(msgspec.Struct, frozen=True, tag="comparison_asked"):
    """A question to a comparer: are these two recordings of one speaker?"""

    one: bytes
    other: bytes

    def __repr__(self) -> str:
        return f"<ComparisonQuestion {len(self.one)} and {len(self.other)} bytes>"


class ComparisonScore(msgspec.Struct, frozen=True, tag="comparison"):
    """The answer. With a `failure`, the class of what the comparer raised, there is no score."""

    score: float = 0.0
    failure: str = ""
