"""The events that an engine yields. If the generator ends without Finished, the speech has failed."""

from __future__ import annotations

from typing import Annotated

import msgspec

from speech_engine.bounds import MOST_TEXTS, Line, Text
from speech_engine.cloning import CloneList
from speech_engine.hearing import Transcript
from speech_engine.redacted import Redacted


class Started(msgspec.Struct, frozen=True, tag="started"):
    """The first event of every answer; all PCM that follows has this rate."""

    sample_rate_hz: int


class Audio(Redacted, msgspec.Struct, frozen=True, tag="audio"):
    """PCM, signed 16-bit little-endian mono, at most 100 ms, in segment order."""

    segment: int
    pcm: bytes


class Encoded(Redacted, msgspec.Struct, frozen=True, tag="encoded"):
    """Audio in one of the job's `formats`; `samples` is None if the engine does not know the number."""

    format: Line
    data: bytes
    samples: int | None = None


class Word(msgspec.Struct, frozen=True, array_like=True):
    """The place of a word: samples from the job's start, characters within its segment's `spoken`."""

    sample_offset: int
    spoken_start: int
    spoken_end: int


class Words(msgspec.Struct, frozen=True, tag="words"):
    """Word times of one segment, in order; may come before, with or after their audio."""

    words: Annotated[tuple[Word, ...], msgspec.Meta(max_length=100_000)]
    segment: int = 0


class VoiceMade(msgspec.Struct, frozen=True, tag="voice_made"):
    """The voice that a clone made, by the engine's own id. The server makes it of the result of `clone`."""

    id: Line


class ClonesListed(msgspec.Struct, frozen=True, tag="clones_listed"):
    """The clones of a provider. The server makes it of the result of `list_clones`."""

    listed: CloneList


class SoundsRead(Redacted, msgspec.Struct, frozen=True, tag="sounds_read"):
    """How texts sound, one line for each in order. The server makes it of the result of `sounds`."""

    sounds: Annotated[tuple[Text, ...], msgspec.Meta(max_length=MOST_TEXTS)]


class ProviderCount(msgspec.Struct, frozen=True, tag="provider_count"):
    """The provider's count up to now. It counts also if the answer is refused or ends early."""

    units: float


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """The end of a whole answer. `units` is the provider's count (characters, tokens), if there is one."""

    units: float | None = None


_OfSound = Started | Audio | Encoded | Words | Transcript | ProviderCount | Finished
Event = _OfSound | VoiceMade | ClonesListed | SoundsRead
