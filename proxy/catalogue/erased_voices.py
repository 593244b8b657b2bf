"""The erased voices that this worker knows, and the streams that speak with a voice that may be erased.

A stream checks at each chunk, so the answer is in memory. The database is authoritative:
storage/tombstones.py.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from proxy.errors import VoiceErased

_MOST_KNOWN = 100_000
"""The most voices that are remembered. A stream ends long before so many other voices are erased."""


class ErasedVoices:
    def __init__(self) -> None:
        self._erased: OrderedDict[str, None] = OrderedDict()
        self._streams: Counter[str] = Counter()
        self._ended_by_voice: dict[str, asyncio.Event] = {}

    def __repr__(self) -> str:
        return f"<ErasedVoices {len(self._erased)} erased, {self._streams.total()} heard>"

    def note_erased(self, voice: str) -> bool:
        """Note that a voice is erased. Return False if that was known."""
        if voice in self._erased:
            return False
        self._erased[voice] = None
        if len(self._erased) > _MOST_KNOWN:
            self._erased.popitem(last=False)
        return True

    def is_erased(self, voice: str) -> bool:
        return voice in self._erased

    def are_any_erased(self, voices: Collection[str]) -> bool:
        return any(voice in self._erased for voice in voices)

    def erasure_of(self, voices: Collection[str]) -> VoiceErased | None:
        """Return the error of a request if one of these voices is erased."""
        return VoiceErased("The voice was deleted.") if self.are_any_erased(voices) else None

    def refuse_erased(self, voices: Collection[str]) -> None:
        if (erased := self.erasure_of(voices)) is not None:
            raise erased

    @contextmanager
    def speaking(self, voices: Collection[str]) -> Iterator[None]:
        """Count a stream that speaks with these voices, until the end of the block."""
        self._streams.update(voices)
        try:
            yield
        finally:
            self._streams.subtract(voices)
            for voice in voices:
                if not self._streams[voice]:
                    del self._streams[voice]
                    if (ended := self._ended_by_voice.pop(voice, None)) is not None:
                        ended.set()

    async def wait_until_silent(self, voice: str, within_s: float) -> bool:
        """Wait until no stream speaks with this voice any more. Return False if one goes on."""
        if not self._streams[voice]:
            return True
        ended = self._ended_by_voice.setdefault(voice, asyncio.Event())
        try:
            async with asyncio.timeout(within_s):
                await ended.wait()
        except TimeoutError:
            return False
        return True
