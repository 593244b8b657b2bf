"""The interface of a speech: made by one engine, by several in turn, or replayed from the cache."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from proxy.audio.formats import Chunk
from proxy.speech.word_times import SpokenWord


class Speech(Protocol):
    """A speech that has begun: its first bytes exist, in the format of the request.

    The samples of all its chunks add up to its length. `chunks` and `last_chunk` raise EngineError if it
    breaks. `close` is always called, at any point, and leaves nothing running.
    """

    @property
    def engine(self) -> str:
        """The speaker as `engine/model`. A comma and a blank join several, in their order.

        For a part whose turn has not come, it is the candidate that will be tried first.
        """
        ...

    @property
    def words(self) -> Sequence[SpokenWord] | None:
        """The words that were timed so far: all of them when `chunks` has ended. None without timed words."""
        ...

    @property
    def sample_rate_hz(self) -> int: ...

    def chunks(self) -> AsyncGenerator[Chunk, None]:
        """Give the chunks as they come, none of them empty, without the last one. Call it once."""
        ...

    def last_chunk(self) -> Chunk:
        """Return the last chunk, which is never empty. Call it when `chunks` has ended."""
        ...

    async def close(self) -> None: ...
