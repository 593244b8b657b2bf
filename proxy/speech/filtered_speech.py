"""A speech whose sound is filtered as a whole, whichever engines speak its parts."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

from proxy.audio.encode import open_encoder
from proxy.audio.formats import Chunk, OutputForm, Tail
from proxy.speech.call import SpeechCall
from proxy.speech.sound_filter import OpenFilter, SoundFilter
from proxy.speech.speech_stream import ChunkReader, Speech
from proxy.speech.spoken_word import SpokenWord


async def begin_filtered(
    call: SpeechCall, filter_: SoundFilter, within_s: float, begin: Callable[[float], Awaitable[Speech]]
) -> Speech:
    """Begin a speech through a filter, which is opened first: if that fails, nothing is spoken.

    `begin` gets the seconds that the call has waited. If the speaker is spared, the filter stays unused.
    """
    opened = await filter_.open(call.sound_form.sample_rate_hz, within_s)
    speech = await begin(time.monotonic() - call.totals.began)
    if call.plan.treatment_of(speech.engine) is None:
        return speech
    async with AsyncExitStack() as undo:
        undo.push_async_callback(speech.close)
        filtered = FilteredSpeech(speech, opened, call.form)
        undo.pop_all()
        undo.push_async_callback(filtered.close)
        await filtered.read_first_bytes()
        undo.pop_all()
        return filtered


class FilteredSpeech:
    """A `Speech` that filters the PCM of another one, after its levels, pauses and speed, and encodes it.

    A filter may hold sound back, so `read_first_bytes` reads until there are bytes to send.
    """

    stored = None

    def __init__(self, speech: Speech, filter_: OpenFilter, form: OutputForm) -> None:
        self._speech = speech
        self._pcm = ChunkReader(speech)
        self._filter = filter_
        self._encoder = open_encoder(form)
        self._tail = Tail()
        self._first = Chunk()
        self._is_over = False

    @property
    def holds_engine(self) -> bool:
        return self._speech.holds_engine

    @property
    def engine(self) -> str:
        return self._speech.engine

    @property
    def words(self) -> Sequence[SpokenWord] | None:
        return self._speech.words

    @property
    def sample_rate_hz(self) -> int:
        return self._speech.sample_rate_hz

    async def read_first_bytes(self) -> None:
        """Read until there are bytes to send."""
        self._first = await self._next() or self._first

    async def next_chunk(self) -> Chunk | None:
        if self._first.data:
            chunk, self._first = self._first, Chunk()
            return chunk
        return await self._next()

    def last_chunk(self) -> Chunk:
        return self._tail.rest + self._encoder.flush()

    async def close(self) -> None:
        try:
            await self._speech.close()
        finally:
            self._encoder.close()

    async def _next(self) -> Chunk | None:
        while not self._is_over:
            pcm = await self._pcm.next_pcm()
            self._is_over = pcm is None
            sound = self._filter.flush() if pcm is None else self._filter.feed(pcm)
            chunk = self._tail.push(self._encoder.feed(sound))
            if chunk.data:
                return chunk
        return None
