"""What an answer is made of, whoever makes it: one engine, several in turn, or a copy that was kept."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from proxy.audio.formats import Chunk
from proxy.speech.word_times import SpokenWord


class Speech(Protocol):
    """A speech that has begun: its first bytes exist, in the format that was asked for.

    The samples of all its chunks add up to its length. `chunks` and `last_chunk` raise EngineError where it
    breaks; `close` comes always, at any point, and leaves nothing running.
    """

    @property
    def engine(self) -> str:
        """Who speaks it, as `engine/model`; several are joined by a comma and a blank, in their order. Of
        those whose turn has not come it is who will be asked first."""
        ...

    @property
    def words(self) -> Sequence[SpokenWord] | None:
        """Those timed so far; all of them once `chunks` is through. None where nobody times any."""
        ...

    @property
    def sample_rate_hz(self) -> int: ...

    def chunks(self) -> AsyncGenerator[Chunk, None]:
        """As they come, none empty; all but the last one. Asked for once."""
        ...

    def last_chunk(self) -> Chunk:
        """Never empty, since it waits for the settlement; to be asked for once `chunks` is through."""
        ...

    async def close(self) -> None: ...
