"""A speech with an inaudible mark: one mark over the whole answer, whoever speaks its parts."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.audio.encode import open_encoder
from proxy.audio.formats import Chunk, OutputForm, Tail
from proxy.audio.steps import SoundFailed
from proxy.engines.marks import AnswerMark
from proxy.speech.speech_stream import PcmReader, Speech
from proxy.speech.word_times import SpokenWord
from speech_engine import EngineUnavailable


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
            chunk = self._tail.push(self._encoder.feed(await self._marked(pcm)))
            if chunk.data:
                return chunk
        return None

    async def _marked(self, pcm: bytes | None) -> bytes:
        """Return what the mark gives for some sound, or for its end. Raises EngineUnavailable.

        A plugin made the mark, perhaps in a process of its own. It fails as an engine does.
        """
        try:
            return await self._mark.flush() if pcm is None else await self._mark.feed(pcm)
        except SoundFailed as failure:
            raise EngineUnavailable(f"The sound could not be marked: {failure}", retry_after_s=2.0) from None
