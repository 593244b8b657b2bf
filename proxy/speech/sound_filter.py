"""The interface of filters for the sound of an answer. The speech path does not know any filter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from policies.plans import Terms
from policies.routing import Candidate


class OpenFilter(Protocol):
    """The filter of one answer. After `flush`, its output is as long as its input. Raises EngineError."""

    def feed(self, pcm: bytes) -> bytes: ...

    def flush(self) -> bytes:
        """Return the rest. The filter takes no more."""
        ...


class SoundFilter(Protocol):
    """Filters PCM after levels, pauses and speed, and before encoding. Without it, such sound is not sent."""

    @property
    def key(self) -> object:
        """The identity of the filter in the names of cached answers."""
        ...

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """The headers of a filtered answer."""
        ...

    async def open(self, sample_rate_hz: int, within_s: float) -> OpenFilter:
        """Open it for one answer, perhaps after its libraries have loaded. Raises EngineUnavailable."""
        ...


class Treatment(msgspec.Struct, frozen=True):
    """The treatment of an answer: a tag in its file that names the kind of its source, and perhaps a filter.

    Speech of the candidates whose `speaker` is in `spared` gets neither.
    """

    filter: SoundFilter | None = None
    spared: frozenset[str] = frozenset()


class Treat(Protocol):
    def __call__(self, candidates: Sequence[Candidate], terms: Terms, *, is_joined: bool) -> Treatment | None:
        """Return the treatment of an answer by these candidates, or None. `is_joined` is that of its plan."""
        ...


def untreated(candidates: Sequence[Candidate], terms: Terms, *, is_joined: bool) -> None:
    """Return None: no answer is treated."""
