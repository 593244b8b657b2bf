"""The sealed fields of jobs: those that are shown, and for spoken jobs the fields of each step's request and
the chapters."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec.structs import replace

from policies.plans import Terms
from proxy.audio.formats import AUDIO_FORMATS, MEDIA_TYPES
from speech_engine.redacted import Redacted

Files = Literal["one", "chapters"]
M4B = "m4b"
"""The format of audiobooks, which only jobs have: AAC in MP4 with chapters, a cover and metadata."""
M4A = "m4a"
"""A format that only dubs have: AAC in MP4, without chapters and a cover."""
FORMATS = (*AUDIO_FORMATS, M4B)
JOB_MEDIA_TYPES = {**MEDIA_TYPES, M4B: "audio/mp4", M4A: "audio/mp4"}
ENCODED = ("flac", "opus", M4B)
"""Formats in which clips cannot be joined: the file is encoded when all steps are done."""
_STEP_FORMATS = dict.fromkeys(("wav", *ENCODED), "pcm")
"""The format of a step's sound, by the format of the job, if they differ."""
_NAME_CHARACTERS = 60
_BLANKS = re.compile(r"\s+")

Sayings = tuple[tuple[int, int, str], ...]
"""The numbers of steps from which on a turn goes on, with its speaker's place in the cast, or -1, and its
emotion."""


class Chapter(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """A chapter of a text, from the character `start` up to `end`. Its steps have the numbers `first` to
    `last`. Both are 0 if the request has not chosen the chapter."""

    title: str
    start: int
    end: int
    first: int = 0
    last: int = 0


class SealedFields(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """The sealed fields of any job. `request` is the digest of its request. `ignored` lists the fields that
    were ignored, as in the header `x-voxgate-ignored`. `files` tells whether each chapter is a file."""

    request: str = ""
    title: str = ""
    model: str = ""
    voice: str = ""
    ignored: tuple[str, ...] = ()
    files: Files = "one"


class SourceJob(msgspec.Struct, frozen=True, kw_only=True):
    """The job whose clips a new job takes over. The steps in the ranges `anew` are spoken again."""

    source: str
    anew: tuple[tuple[int, int], ...] = ()

    def is_anew(self, step: int) -> bool:
        place = bisect_right(self.anew, step, key=lambda each: each[0])
        return place > 0 and step <= self.anew[place - 1][1]


class StepFields(SealedFields, frozen=True, kw_only=True):
    """The sealed fields of a spoken job. `sent` are the fields of each step's request without its text, as
    they were sent. `cast` has the names of its cast.

    `kbit_s` is the bit rate of a file that is encoded at the end, and `pauses` are numbers of steps with the
    seconds of silence before them in this file. `only` are the chosen chapters, as they were sent. `words`
    take precedence over the lexicon of the request. `cover` is the id of the cover's file, and `language`
    that of the text's beginning. `own` is read by the kind of the job alone. Jobs of earlier versions have no
    `sayings`.
    """

    sent: dict[str, msgspec.Raw]
    cast: tuple[str, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    kbit_s: int | None = None
    pauses: tuple[tuple[int, float], ...] = ()
    only: str = ""
    words: dict[str, str] = {}
    again: SourceJob | None = None
    cover: str = ""
    language: str = ""
    own: msgspec.Raw = msgspec.Raw(b"null")
    sayings: Sayings | None = None

    def source_of(self, step: int) -> str:
        """Return the job whose clip a step may take over, or ""."""
        return "" if self.again is None or self.again.is_anew(step) else self.again.source


def step_format(format_: str) -> str:
    return _STEP_FORMATS.get(format_, format_)


def step_terms(terms: Terms, *, is_checked: bool = False) -> Terms:
    """Return the terms of a step, without the limit of a request's length. With `is_checked`, the step's
    sound is checked by recognition unless the plan or the request says otherwise."""
    key = replace(terms.key, max_characters=None)
    check = terms.check or ("heard" if is_checked else None)
    return replace(terms, is_for_job=True, max_characters=None, key=key, check=check)


def chapter_number_at(chapters: Sequence[Chapter], place: int) -> int | None:
    """Return the number of the chapter at a place of the text. The first one is 1. None: there is none."""
    # A chapter that was not chosen has no steps, but a place.
    return bisect_right(chapters, place, key=lambda each: each.start) or None


def file_name(number: int, chapters: int, title: str, suffix: str) -> str:
    """Return a file name for a chapter that is valid on every system. Its number makes it unique."""
    plain = "".join(
        each if each.isalnum() or unicodedata.category(each)[0] == "M" or each in "-_'," else " "
        for each in unicodedata.normalize("NFC", title)
    )
    words = _BLANKS.sub(" ", plain)[:_NAME_CHARACTERS].strip()
    return f"{number:0{len(str(chapters))}} {words}".rstrip() + f".{suffix}"
