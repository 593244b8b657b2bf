"""The record of a saved voice, for the kernel and for the features that create or clone voices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from speech_engine.redacted import Redacted

DAY_US = 86_400_000_000

Recognised = Literal[True] | UnsetType
Kind = Literal["sample", "mix", "cast", "catalogue"]

DESCRIPTION_FIELDS = ("name", "description", "tags", "labels", "language", "gender")
"""The fields that the owner of a voice sets, and may change."""


class ComparisonResult(msgspec.Struct, frozen=True):
    """The answer whether a voice's sample and its consent have the same speaker, and the score behind it."""

    answer: str
    score: float | None = None
    comparer: str = ""


class VoiceTexts(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a voice that may name a person. They are sealed together. `texts` are the words of its
    samples, and `part` those of the first one's part (`Sample`). If they are `recognised`, the server has
    heard them, or will. `request` is a digest of the request that created the voice with an
    Idempotency-Key."""

    name: str
    description: str = ""
    tags: tuple[str, ...] = ()
    labels: Mapping[str, str] = {}
    texts: tuple[str, ...] = ()
    part: str | UnsetType = UNSET
    recognised: Recognised = UNSET
    request: str = ""


class VoiceRecord(VoiceTexts, frozen=True, kw_only=True):
    """A saved voice. It is the operator's when `account` is None.

    If it is sealed, `name` is a digest, and the other texts are empty until it is opened. A cast has
    `members`, a mix has weights in `mix`. `created` and `used`, its last day of speech, are in microseconds.
    """

    id: str
    account: str | None
    kind: Kind
    revision: int
    created: int
    members: Mapping[str, str] = {}
    mix: Mapping[str, float] = {}
    language: str | None = None
    gender: str | None = None
    quality: str | None = None
    consent: str | None = None
    compared: ComparisonResult | None = None
    used: int | None = None
    wrapped: str = ""
    sealed: str = ""

    @property
    def is_sealed(self) -> bool:
        return bool(self.sealed)

    def ends_at(self, days: int) -> int:
        """Return when a voice that may be unused for so many days is erased, in microseconds UTC."""
        # It may have spoken at the end of that day.
        spoke = 0 if self.used is None else self.used + DAY_US
        return max(self.created, spoke) + days * DAY_US
