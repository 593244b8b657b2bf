"""The preview of a job: its chapters, its length and its cost, before it is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec


class PreviewChapter(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    title: str
    characters: int
    seconds: float
    credits: float


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a file that is not spoken: where it is, by which rule, and how it begins."""

    where: str
    rule: str
    characters: int
    sample: str


class PreviewCast(msgspec.Struct, frozen=True, kw_only=True):
    """The names of a cast. `without_voice` are names that the text uses, and that the cast gives no voice."""

    names: Sequence[str]
    without_voice: Sequence[str]


class JobPreview(msgspec.Struct, frozen=True, kw_only=True):
    """A job before it is made. `seconds` and `credits` are what is likely, and the job never costs more than
    `most_credits`. `available` credits are left; null means no limit. Of a job that is said again, `steps`
    are those that are spoken: the others cost nothing."""

    object: Literal["job.preview"] = "job.preview"
    chapters: Sequence[PreviewChapter]
    left_out: Sequence[LeftOut] = ()
    cast: PreviewCast
    warnings: Sequence[str]
    characters: int
    steps: int
    seconds: float
    credits: float
    most_credits: float
    available: float | None
