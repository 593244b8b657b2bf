"""The Mark protocol: writes an inaudible sign into the audio, and finds it again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from speech_engine.redacted import Redacted

PAYLOAD_BITS = 32
"""The bits that a mark carries beside the fact that it is there."""

FALSE_RATE = 1e-6
"""The most that a mark may be found by chance in a sound without one, for all keys that are tried at once."""

_LEAST_RATE_HZ, _MOST_RATE_HZ = 8_000, 48_000


class MarkKey(Redacted, msgspec.Struct, frozen=True):
    """A key, which the detector needs to find its marks. The secret has 16 bytes or more.

    It does not keep a mark from being copied: some marks can be learned from marked clips, without the key.
    """

    id: str
    secret: bytes


class Detection(msgspec.Struct, frozen=True):
    """The finding of a detector. Without a mark, `key` is None, and the score is the best of all keys.

    A mark is there if the score reaches the threshold, which chance does at most once in a million sounds.
    `payload` is None if the mark is too weak to read. It was found in `seconds` of sound, `begin_s` after the
    sound's begin; there may be more of it.

    A mark that has no keys is found with the key "": it says that a machine spoke, and not whose. Some marks
    carry only the lowest `payload_bits` of a payload.
    """

    score: float
    threshold: float
    key: str | None = None
    payload: int | None = None
    begin_s: float = 0.0
    seconds: float = 0.0
    payload_bits: int = PAYLOAD_BITS


class MarkStream(Protocol):
    """The mark of one stream. Chunks come out in order, and the sum of their lengths stays equal.

    With an attribute `goes_on` that is true, it may be fed after a flush, and goes on at its place.
    """

    def feed(self, pcm: bytes) -> bytes: ...

    def flush(self) -> bytes: ...


class Mark(Protocol):
    """Sound is 16-bit mono PCM at 8 to 48 kHz. All methods are synchronous, and callable from any thread."""

    def open(self, sample_rate_hz: int, key: MarkKey, payload: int) -> MarkStream:
        """Open a stream, which comes after speed and before encoding. `payload` has 32 bits.

        The first byte comes at most 20 ms of sound later. Digital silence stays as it is.
        Raise ValueError for a rate or a payload that cannot be.
        """
        ...

    def detect(self, pcm: bytes, sample_rate_hz: int, keys: Sequence[MarkKey]) -> Detection:
        """Look for the marks of some keys. Takes seconds. Raise ValueError for a rate that cannot be."""
        ...


def require_rate(sample_rate_hz: int) -> None:
    """Raise ValueError for a rate that no marked sound has."""
    if not _LEAST_RATE_HZ <= sample_rate_hz <= _MOST_RATE_HZ:
        raise ValueError(f"a marked sound has {_LEAST_RATE_HZ} to {_MOST_RATE_HZ} samples a second")
