"""The requests and answers of the process that reads long recordings."""

from __future__ import annotations

import msgspec

LONGEST_S = 2 * 3600
"""A small file may claim any length."""


class SurveyOf(msgspec.Struct, frozen=True, tag="survey"):
    """Requests the length of a file, and its levels."""

    file: bytes

    def __repr__(self) -> str:
        return f"<SurveyOf {len(self.file)} bytes>"


class StretchOf(msgspec.Struct, frozen=True, tag="stretch"):
    """Requests the sound of a file from `start_ms` up to `end_ms`, mixed as its survey says."""

    file: bytes
    start_ms: int
    end_ms: int
    takes_first: bool

    def __repr__(self) -> str:
        return f"<StretchOf {len(self.file)} bytes, {self.start_ms} to {self.end_ms} ms>"


class LongSurvey(msgspec.Struct, frozen=True, tag="surveyed"):
    """A file of `rate_hz` plays for `whole_ms`. `levels` are as in `stretches`. `takes_first`: the channels
    cancel each other, so only the first is used. `is_cut`: the file is longer than `LONGEST_S`."""

    levels: bytes
    whole_ms: int
    rate_hz: int
    takes_first: bool
    is_cut: bool

    def __repr__(self) -> str:
        return f"<LongSurvey of {self.whole_ms} ms>"
