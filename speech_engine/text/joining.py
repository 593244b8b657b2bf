"""A job's segments as the calls that a provider is to get: few and long, since each begins anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from speech_engine.values import Segment

_BETWEEN = " "


class Call(NamedTuple):
    """What one call speaks; its audio counts as that of `segment`, the first in it."""

    text: str
    segment: int

    def __repr__(self) -> str:
        return f"<Call of {len(self.text)} characters from segment {self.segment}>"


def joined(segments: Sequence[Segment], most_characters: int) -> tuple[Call, ...]:
    """As many whole segments in each call as its limit holds; the server has cut those that are too long."""
    calls: list[Call] = []
    for number, segment in enumerate(segments):
        text = f"{calls[-1].text}{_BETWEEN}{segment.spoken}" if calls else ""
        if calls and len(text) <= most_characters:
            calls[-1] = Call(text, calls[-1].segment)
        else:
            calls.append(Call(segment.spoken, number))
    return tuple(calls)
