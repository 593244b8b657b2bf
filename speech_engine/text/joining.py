"""Joins a job's segments into calls to a provider: few and long, since each call starts again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from speech_engine.values import Segment

_BETWEEN = " "


class Call(NamedTuple):
    """The text of one call; its audio counts as the audio of `segment`, the first in the call."""

    text: str
    segment: int

    def __repr__(self) -> str:
        return f"<Call of {len(self.text)} characters from segment {self.segment}>"


def joined(segments: Sequence[Segment], most_characters: int) -> tuple[Call, ...]:
    """Put as many whole segments into each call as its limit allows; the server has cut longer ones."""
    calls: list[Call] = []
    for number, segment in enumerate(segments):
        text = f"{calls[-1].text}{_BETWEEN}{segment.spoken}" if calls else ""
        if calls and len(text) <= most_characters:
            calls[-1] = Call(text, calls[-1].segment)
        else:
            calls.append(Call(segment.spoken, number))
    return tuple(calls)
