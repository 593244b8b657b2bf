"""The piece of a recording that was cut: its times, and its words."""

from __future__ import annotations

from typing import Literal

import msgspec

LeftOut = Literal["", "unclear", "clipped", "other_voice", "no_pause"]


class CutPiece(msgspec.Struct, frozen=True):
    """A piece of a recording with its words, or with the reason why it was left out: it is `unclear`,
    `clipped` or of an `other_voice`, or there is `no_pause` in reach."""

    start_s: float
    end_s: float
    text: str = ""
    left_out: LeftOut = ""

    def __repr__(self) -> str:
        return f"<CutPiece of {self.plays_s:.1f} s {self.left_out}>"

    @property
    def plays_s(self) -> float:
        return self.end_s - self.start_s
