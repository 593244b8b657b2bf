"""Long recordings: the requests and answers of the process that reads them, and their cuts.

They are cut at their quiet places, into stretches that are converted one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from proxy.audio.recordings.recording import Undecoded
from speech_engine.redacted import Redacted

LONGEST_S = 2 * 3600
"""A small file may claim any length."""


MOST_CPU_S = 25
"""The processor time of a reading. Two hours of Opus take ten seconds. Even after a first try, this is less
than others wait for their turn, so a file that uses all of it makes no other request fail."""


class SurveyRequest(Redacted, msgspec.Struct, frozen=True, tag="survey"):
    """Requests the length of a file, and its levels, up to `longest_s`."""

    file: bytes
    longest_s: int = LONGEST_S


class StretchRequest(Redacted, msgspec.Struct, frozen=True, tag="stretch"):
    """Requests the sound of a file from `start_ms` up to `end_ms`, mixed as its survey says."""

    file: bytes
    start_ms: int
    end_ms: int
    takes_first: bool


class LongSurvey(Redacted, msgspec.Struct, frozen=True, tag="surveyed"):
    """A file of `rate_hz` plays for `whole_ms`. `levels` has a byte for each `LEVEL_MS`: half decibels below
    the loudest sample. `takes_first`: the channels cancel each other, so only the first is used. `is_cut`:
    the file is longer than was asked for."""

    levels: bytes
    whole_ms: int
    rate_hz: int
    takes_first: bool
    is_cut: bool


class SurveyAnswer(Redacted, msgspec.Struct, frozen=True, tag="answered"):
    """The answer to a survey, and the seconds of processor that it took."""

    survey: LongSurvey | Undecoded
    cpu_s: float


LEVEL_MS = 20
"""The length of the sound of one level."""
SILENT_LEVEL = 110
"""A recording that is nowhere louder than this, 55 dB below full scale, is silent."""
MOST_MS = 180_000
"""The longest stretch. It takes a slot of an engine while it is converted, and a listener may wait for
that."""
LEAST_MS = 2_000
"""The shortest stretch, if the recording is as long."""
_PAUSE_MS = 300
"""The window in which the level of a place is measured."""


class Stretch(NamedTuple):
    start_ms: int
    end_ms: int


def cut_stretches(
    levels: bytes, whole_ms: int, most_ms: int = MOST_MS, least_ms: int = LEAST_MS
) -> list[Stretch]:
    """Cut a recording with these levels into stretches without gaps. Each but the last one ends at the
    quietest place of its second half."""
    found, start = list[Stretch](), 0
    while whole_ms - start > most_ms:
        first, last = start + most_ms // 2, min(start + most_ms, whole_ms - least_ms)
        end = LEVEL_MS * _quietest_index(levels, first // LEVEL_MS, last // LEVEL_MS)
        found.append(Stretch(start, end))
        start = end
    return [*found, Stretch(start, whole_ms)]


def is_silent(levels: bytes) -> bool:
    return min(levels, default=255) > SILENT_LEVEL


def _quietest_index(levels: Sequence[int], first: int, last: int) -> int:
    """Return the quietest place from `first` to `last`; of several, the latest."""
    around = _PAUSE_MS // LEVEL_MS // 2
    # The running sum of a window: the greater the levels, the quieter the sound.
    quiet = sum(levels[max(0, first - around) : first + around + 1])
    quietest_place, quietest = first, quiet
    for place in range(first + 1, last + 1):
        quiet += sum(levels[place + around : place + around + 1])
        quiet -= levels[place - around - 1] if place > around else 0
        if quiet >= quietest:
            quietest_place, quietest = place, quiet
    return quietest_place
