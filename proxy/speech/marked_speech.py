"""A speech with an inaudible mark: one mark over the whole answer, whoever speaks its parts."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.audio.encode import open_encoder
from proxy.audio.formats import Chunk, OutputForm, Tail
from proxy.engines.marks import AnswerMark
from proxy.speech.speech_stream import PcmReader, Speech
from proxy.speech.word_times import SpokenWord


class MarkedSpeech:
    """A `Speech` that marks the PCM of another one, after its levels, pauses and speed, and encodes it.

    The mark holds 20 ms back, so `begin` reads until there are bytes to send. It counts what went through.
    """

    def __init__(self, speech: Speech, mark: AnswerMark, form: OutputForm) -> None:
        self._speech = speech
        self._pcm = PcmReader(speech)
        self._mark = mark
        self._encoder = open_encoder(form)
        self._tail = Tail()
        self._first = Chunk()
        self._is_over = False

    def __repr__(self) -> str:
        return f"<MarkedSpeech {self._speech!r}, {self._mark!r}>"

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

    async def begin(self) -> None:
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
            await self._mark.close()

    async def _next(self) -> Chunk | None:
        while not self._is_over:
            pcm = await self._pcm.next_pcm()
            self._is_over = pcm is None
            marked = await self._mark.flush() if pcm is None else await self._mark.feed(pcm)
            chunk = self._tail.push(self._encoder.feed(marked))
            if chunk.data:
                return chunk
        return None
