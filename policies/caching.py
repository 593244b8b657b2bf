"""What of speech may be given a second time, and what makes two requests the same to a listener."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

_LARGEST_SHARE = 4


class SpeakerUse(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A part of a text, by who speaks it and how: all of it that can be heard. `revision` is the voice's,
    `checkpoint` the model's; `lexicon` stands for the entries in force, `settings` for the configuration."""

    start: int
    end: int
    language: str
    voice: str
    revision: str
    model: str
    checkpoint: str
    engine_voice: str
    front_end: str
    front_end_revision: str
    lexicon: str
    settings: tuple[str, ...] = ()


def is_wanted(asked: bool | None, planned: bool, configured: bool) -> bool:
    """What the request says; where it says nothing, whether its plan or the configuration has it on."""
    return (planned or configured) if asked is None else asked


def largest(bound: int) -> int:
    """The most bytes that one answer may take of the bound for all: others should not go for its sake."""
    return bound // _LARGEST_SHARE


def patience_s(first_audio_s: float) -> float:
    """How long a disk, or the client of an equal request, is worth waiting for; the rest is for speaking."""
    return first_audio_s / 2


def name(secret: bytes, account: str, sound: Sequence[object], parts: Sequence[SpeakerUse]) -> str:
    """Of what an account hears. Only equal sound has an equal name, and without the secret nobody can tell
    from it what is said, or to whom."""
    return tag(secret, msgspec.msgpack.encode((account, sound, parts)))


def tag(secret: bytes, data: bytes) -> str:
    """Stands for the data where it must not be read or guessed."""
    # A MAC as it is: HMAC would let the other threads of the process go first, however short the data.
    return hashlib.blake2b(data, key=secret, digest_size=32).hexdigest()
