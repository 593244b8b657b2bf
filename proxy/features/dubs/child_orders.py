"""The messages to and from the child processes of dubs."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from proxy.audio.recordings.recording import Undecoded
from proxy.features.dubs.subtitle_text import Subtitles

LONGEST_S = 4 * 3600
"""The longest original."""


class SubtitleOrder(msgspec.Struct, frozen=True):
    """Read subtitles of these speakers. The file follows, part by part, and an empty part ends it."""

    cast: Sequence[str]


class RefusedSubtitles(msgspec.Struct, frozen=True, tag="refused"):
    why: str


class SoundOrder(msgspec.Struct, frozen=True):
    """Decode a recording at this rate, or with 0 only count its samples. The file follows."""

    rate_hz: int = 0
    takes_first: bool = False


class Counted(msgspec.Struct, frozen=True, tag="counted"):
    """The end of a recording: its own samples, at its own rate."""

    samples: int
    rate_hz: int
    takes_first: bool = False


SubtitleAnswer = Subtitles | RefusedSubtitles
SoundAnswer = Counted | Undecoded
