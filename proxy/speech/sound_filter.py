"""What changes the sound of an answer, whichever engines speak it. The way of a speech knows no mark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from policies.plans import Terms
from policies.routing import Model

NOBODY: frozenset[str] = frozenset()


class OpenFilter(Protocol):
    """The filter of one answer. What comes out is as long as what went in, after `flush`. Close it.

    It fails as an engine does: EngineError.
    """

    async def feed(self, pcm: bytes) -> bytes: ...

    async def flush(self) -> bytes:
        """Return the rest, after which it is over."""
        ...

    async def close(self) -> None: ...


class SoundFilter(Protocol):
    """It takes PCM after levels, pauses and speed, before it is encoded. What it is due for never
    goes out without it."""

    @property
    def key(self) -> object:
        """What the sound depends on. It is in the names of kept answers."""
        ...

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """What an answer says of it."""
        ...

    async def open(self, sample_rate_hz: int, within_s: float) -> OpenFilter:
        """Open it for one answer: its process may have to load. Raises EngineUnavailable."""
        ...


class Treatment(msgspec.Struct, frozen=True):
    """What an answer gets. A tag in its file says whether a trained model or rules made the sound; a filter
    may change the sound. What a model of `spared` speaks goes without both.
    """

    filter: SoundFilter | None = None
    spared: frozenset[str] = NOBODY


class Treat(Protocol):
    def __call__(self, models: Sequence[Model], terms: Terms, *, has_parts: bool) -> Treatment | None:
        """Decide on the treatment of an answer that some of these models may speak."""
        ...


def untreated(models: Sequence[Model], terms: Terms, *, has_parts: bool) -> None:
    """Leave each answer as it is."""
