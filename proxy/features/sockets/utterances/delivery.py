"""What the listener of an utterance gets: the PCM of all pieces through one encoder, at its pace."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from msgspec.structs import replace

from proxy.audio.encode import Encoder, open_encoder
from proxy.audio.formats import SAMPLE_BYTES, OutputForm
from proxy.audio.sound import FadeOut
from proxy.features.sockets.utterances.cutter import Cut
from proxy.features.sockets.utterances.spoken_words import PieceWords
from proxy.features.sockets.utterances.values import UtteranceListener
from proxy.speech.spill import PlayClock

AHEAD_S, CHUNK_S = 1.0, 0.25
"""The seconds that are sent ahead, and those of each step: an interruption should cost little that was not
heard."""


class Delivery:
    """The sound of an utterance, as one stream of its form. `pieces` are those that have begun. Call
    `close_stream` in the end."""

    def __init__(self, listener: UtteranceListener, form: OutputForm) -> None:
        self.listener = listener
        self.clock = PlayClock(AHEAD_S, CHUNK_S)
        self.pieces: list[PieceWords] = []
        self.sent_s = 0.0
        self._form = form
        self._encoder: Encoder | None = None
        self._fade = FadeOut(form.sample_rate_hz)
        self._half_sample = b""
        self._is_flushed = False
        self._sending: asyncio.Task[None] | None = None

    def begin_piece(self, cut: Cut, spoken: str, form_source: str, length_s: float) -> PieceWords:
        """Begin a piece. `spoken` is the text of its request. The `form_source` of the first piece counts for
        the whole stream."""
        if self._encoder is None:
            self._encoder = open_encoder(replace(self._form, source=form_source))
        piece = PieceWords(cut, self.sent_s, length_s, spoken)
        self.pieces.append(piece)
        return piece

    def encode(self, pcm: bytes, *, ends_piece: bool = False) -> bytes:
        """Take the next bytes of a piece, which may end inside of a sample, and return those to send."""
        assert self._encoder is not None, "a piece has begun"
        pcm = self._half_sample + pcm
        whole = len(pcm) - len(pcm) % SAMPLE_BYTES
        self._half_sample = pcm[whole:]
        faded = self._fade.feed(pcm[:whole]) + (self._fade.flush() if ends_piece else b"")
        return self._encoder.feed(faded).data if faded else b""

    def flush_stream(self) -> bytes:
        """Return the rest of the stream, its last piece faded out."""
        if self._encoder is None or self._is_flushed:
            return b""
        rest, self._is_flushed = self.encode(b"", ends_piece=True), True
        return rest + self._encoder.flush().data

    @property
    def is_stuck(self) -> bool:
        """Whether the listener should have played all it got, and does not take what is being sent."""
        is_sending = self._sending is not None and not self._sending.done()
        return is_sending and self.clock.played_s == self.clock.given_s

    async def send_whole(self, work: Coroutine[None, None, None]) -> None:
        """Wait for a call of the listener. If this wait is cancelled, the call goes on: sound that was given
        out is sent, and charged."""
        self._sending = asyncio.create_task(work)
        await asyncio.shield(self._sending)

    async def finish_stream(self) -> None:
        """Send the rest of the stream, after what is being sent."""
        if self._sending is not None:
            await asyncio.wait((self._sending,))
        if rest := self.flush_stream():
            await self.send_whole(self.listener.send_sound(rest, ()))

    async def close_stream(self) -> None:
        if self._sending is not None and not self._sending.done():
            self._sending.cancel()  # the client is lost
            await asyncio.wait((self._sending,))
        if self._encoder is not None:
            self._encoder.close()
