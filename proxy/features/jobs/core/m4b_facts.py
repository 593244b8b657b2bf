"""The metadata of an audiobook in one file, and the size of its index. This module imports no codec."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple

import msgspec

from proxy.audio.formats import MACHINE_COMMENT
from proxy.features.jobs.core.records import Job
from speech_engine.redacted import Redacted

Quality = Literal["small", "standard", "best"]
KBITS: dict[Quality, int] = {"small": 32, "standard": 64, "best": 96}
FRAME_SAMPLES = 1024
"""The samples in a frame of AAC."""
_INDEX_BYTES_PER_FRAME = 4.75
_INDEX_BYTES_PER_CHAPTER = 600
_LEAST_INDEX_BYTES = 65_536


_LANGUAGES = """
ar=ara bg=bul ca=cat cs=ces da=dan de=deu el=ell en=eng es=spa et=est fa=fas fi=fin fr=fra gl=glg he=heb
hi=hin hr=hrv hu=hun id=ind it=ita ja=jpn ko=kor lt=lit lv=lav nb=nob nl=nld no=nor pl=pol pt=por ro=ron
ru=rus sk=slk sl=slv sr=srp sv=swe th=tha tr=tur uk=ukr vi=vie zh=zho
"""
_THREE_LETTERS = dict(each.split("=") for each in _LANGUAGES.split())
"""The language codes of three letters, which files have, by the codes of two letters, which most tags
have."""


class M4bChapter(NamedTuple):
    """A chapter, from its first sample up to the first sample of the next chapter."""

    title: str
    start: int
    end: int


class M4bFacts(Redacted, msgspec.Struct, frozen=True):
    """The metadata of an audiobook. `cover` is a PNG or a JPEG, or empty."""

    title: str = ""
    authors: tuple[str, ...] = ()
    narrators: tuple[str, ...] = ()
    year: str = ""
    language: str = ""
    series: str = ""
    cover: bytes = b""

    def tags(self) -> dict[str, str]:
        named = {
            "title": self.title,
            "album": self.series or self.title,
            "artist": ", ".join(self.authors),
            "composer": ", ".join(self.narrators),
            "date": self.year,
            "comment": MACHINE_COMMENT,
        }
        return {name: value for name, value in named.items() if value}

    @property
    def iso_language(self) -> str:
        """The language code in three letters, or ""."""
        tag = self.language.lower().partition("-")[0]
        return _THREE_LETTERS.get(tag, tag if len(tag) == 3 and tag.isascii() and tag.isalpha() else "")


FactsOf = Callable[[Job], Awaitable[M4bFacts]]
"""Returns the metadata for the file of a job. Raises VaultFailed."""


def index_bytes(facts: M4bFacts, chapters: int, samples: int) -> int:
    """Return the most bytes that the index of a file may need."""
    sound = round(samples / FRAME_SAMPLES * _INDEX_BYTES_PER_FRAME)
    return _LEAST_INDEX_BYTES + sound + len(facts.cover) + chapters * _INDEX_BYTES_PER_CHAPTER
