"""What the process that reads long recordings is asked, and what it answers."""

from __future__ import annotations

import msgspec

LONGEST_S = 2 * 3600
"""A small file may claim any length."""


class SurveyOf(msgspec.Struct, frozen=True, tag="survey"):
    """Asks how long a file plays, and how loud it is where."""

    file: bytes

    def __repr__(self) -> str:
        return f"<SurveyOf {len(self.file)} bytes>"


class StretchOf(msgspec.Struct, frozen=True, tag="stretch"):
    """Asks for the sound of a file from `start_ms` up to `end_ms`, mixed as its survey says."""

    file: bytes
    start_ms: int
    end_ms: int
    takes_first: bool

    def __repr__(self) -> str:
        return f"<StretchOf {len(self.file)} bytes, {self.start_ms} to {self.end_ms} ms>"


class LongSurvey(msgspec.Struct, frozen=True, tag="surveyed"):
    """A file of `rate_hz` plays for `whole_ms`. `levels` are as `stretches` has them.

    With `takes_first`, its first channel alone is heard, as they put one another out. If it is longer than
    `LONGEST_S`, it `is_cut`.
    """

    levels: bytes
    whole_ms: int
    rate_hz: int
    takes_first: bool
    is_cut: bool

    def __repr__(self) -> str:
        return f"<LongSurvey of {self.whole_ms} ms>"
