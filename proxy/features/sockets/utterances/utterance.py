"""One utterance: its text, and the pieces that speak it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress

import structlog

from policies.lexicon import Words
from proxy.errors import InvalidRequest, NotAllowed, RequestFailed
from proxy.features.sockets.utterances.cutter import MOST_PIECE, Cut, Cutter
from proxy.features.sockets.utterances.delivery import Delivery
from proxy.features.sockets.utterances.piece import SpokenPiece, StopReason
from proxy.features.sockets.utterances.piece_planner import PiecePlanner, is_by_job, most_characters
from proxy.features.sockets.utterances.spoken_words import spoken_to
from proxy.features.sockets.utterances.values import Interrupted, UtteranceEnd, UtteranceUsage
from proxy.speech.speech_body import MAX_INPUT
from speech_engine.host.engine_stream import run_to_end

MOST_TEXT = 20_000
"""The most characters of an utterance."""

_SMALL_PIECE, _PIECE_PER_S = 100, 10
"""A piece has 10 characters for each second that was sent, or 100, or is a sentence. So what is made ahead of
a listener, and its time at the engine, stay below what it has taken: it may read nothing, or leave soon."""

_log = structlog.get_logger()


class Utterance:
    """An utterance that was admitted and counts as a stream of its account, until `run` ends.

    One task calls `run`. Others add text meanwhile, and may interrupt. If `run` is never called, call
    `abandon`.
    """

    def __init__(
        self, id_: str, cutter: Cutter, planner: PiecePlanner, delivery: Delivery, stream: AsyncExitStack
    ) -> None:
        self.id = id_
        self._cutter = cutter
        self._planner = planner
        self._delivery = delivery
        self._stream = stream
        self._text = ""
        self._most_piece = MOST_PIECE
        self._live_pieces: list[SpokenPiece] = []
        self._usage = UtteranceUsage()
        self._failure: RequestFailed | None = None
        self._is_running = self._is_interrupted = False
        # Set when `_next_cut` must look again.
        self._news = asyncio.Event()
        self._is_over = asyncio.Event()

    def __repr__(self) -> str:
        state = "over" if self._is_over.is_set() else "open"
        return f"<Utterance {self.id} {len(self._delivery.pieces)} pieces, {state}>"

    def add(self, text: str, sounds: Words | None = None) -> None:
        """Add text, of which some words have a sound of their own. Raises InvalidRequest or NotAllowed, and
        adds nothing, if it becomes too long, or if a word has two sounds."""
        length = len(self._text) + len(text)
        most = MAX_INPUT if self._cutter.is_one_piece else MOST_TEXT
        plan_most = self._planner.terms.max_characters
        if plan_most is not None and length > plan_most:
            raise NotAllowed(
                f"Your plan '{self._planner.terms.plan}' takes texts of up to {plan_most} characters; "
                f"this one has {length}.",
                param="text",
                code="text_too_long",
            )
        if length > most:
            raise InvalidRequest(
                f"Too much text: an utterance has up to {most} characters, and this one has {length}.",
                param="text",
                code="string_above_max_length",
            )
        if sounds:
            self._planner.add_sounds(sounds)
        self._text += text
        self._cutter.receive_text(text, asyncio.get_running_loop().time())
        if self._cutter.may_close and self._may_begin_piece:
            self._news.set()

    def flush(self) -> None:
        """Speak all text so far, even if its last sentence has not ended."""
        self._cutter.close_text()
        self._news.set()

    def end(self) -> None:
        """No more text comes. `run` ends when all is said."""
        self._cutter.end_text()
        self._news.set()

    @property
    def _may_begin_piece(self) -> bool:
        """Whether the newest piece is near its end. Before that, a letter need not wake `_next_cut`."""
        return not self._live_pieces or self._live_pieces[-1].is_near_end

    @property
    def is_silent(self) -> bool:
        """Whether nothing is spoken. If this lasts, it waits for more text."""
        return all(piece.is_over.is_set() for piece in self._live_pieces)

    async def run(self) -> UtteranceEnd:
        """Speak until `end` was called and all is said, or until a failure or an interruption. Before it
        returns, all pieces are settled, and the stream is free. If it is cancelled, the pieces are settled as
        left by the client."""
        self._is_running = True
        try:
            await self._speak()
            await self._delivery.finish_stream()
        finally:
            await run_to_end(self.abandon())
        _log.info(
            "utterance.finished",
            utterance=self.id,
            pieces=len(self._delivery.pieces),
            characters=self._usage.characters,
            seconds=self._usage.seconds,
            interrupted=self._is_interrupted,
            code=self._failure and self._failure.code,
        )
        return UtteranceEnd(len(self._delivery.pieces), self._usage, self._failure)

    async def interrupt(self, played_ms: int | None = None) -> Interrupted:
        """Stop the sound. Return when all pieces are settled; then `run` returns, too. `played_ms` is what
        the client has played, if it knows that. It changes no charge."""
        sent_s = self._delivery.sent_s
        played_s = self._delivery.clock.played_s if played_ms is None else min(played_ms / 1000, sent_s)
        for piece in self._live_pieces:
            piece.note_words()
        place = spoken_to(self._delivery.pieces, played_s)
        if not self._is_interrupted:
            self._is_interrupted = True
            self._stop_pieces("interrupted")
            self._news.set()
        if self._is_running:
            await self._is_over.wait()
        return Interrupted(
            piece=max(0, len(self._delivery.pieces) - 1),
            text_spoken=self._text[:place],
            text_remaining=self._text[place:],
            sent_ms=round(self._delivery.sent_s * 1000),
            usage=self._usage,
        )

    async def abandon(self) -> None:
        """End an utterance that never ran, or whose `run` is cancelled."""
        tasks = [piece.task for piece in self._live_pieces if piece.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for piece in self._live_pieces:
            self._count_usage(piece)
        self._live_pieces.clear()
        await self._delivery.close_stream()
        try:
            await self._stream.aclose()
        finally:
            self._is_over.set()

    async def _speak(self) -> None:
        newest, number = None, 0
        while (cut := await self._next_cut(newest)) is not None:
            piece = self._new_piece(number, cut, newest)
            if newest is None and not await self._plan_first(piece):
                continue
            piece.begin_speaking()
            self._live_pieces.append(piece)
            newest, number = piece, number + 1
        while self._live_pieces:
            task = self._live_pieces[0].task
            assert task is not None, "it has begun"
            await asyncio.wait((task,))
            self._count_ended()

    async def _plan_first(self, piece: SpokenPiece) -> bool:
        """Plan the first piece, which decides how the text is cut. Return whether it can be spoken now."""
        try:
            call = await piece.plan_call()
        except RequestFailed as failure:
            self._failure = failure
            return False
        if is_by_job(call) and not self._cutter.is_one_piece:
            self._cutter.take_back(piece.cut)
            return False
        self._cutter.language = call.plan.language
        self._most_piece = most_characters(call)
        return not self._is_interrupted

    async def _next_cut(self, newest: SpokenPiece | None) -> Cut | None:
        """Return the text of the next piece when it is time for it, or None if there is none any more."""
        loop, cutter = asyncio.get_running_loop(), self._cutter
        while not self._is_stopping:
            self._news.clear()
            wakes_at = None
            if newest is None or (newest.is_near_end and not self._delivery.is_stuck):
                now, earned = loop.time(), round(_PIECE_PER_S * self._delivery.sent_s)
                most = min(self._most_piece, max(_SMALL_PIECE, earned))
                if (cut := cutter.next_cut(now, most, is_first=newest is None)) is not None:
                    return cut
                if cutter.has_ended:
                    return None
                wakes_at = cutter.wakes_at(now)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(wakes_at):
                    await self._news.wait()
            self._count_ended()
        return None

    @property
    def _is_stopping(self) -> bool:
        has_failed = self._failure is not None or any(
            piece.failure is not None for piece in self._live_pieces
        )
        return self._is_interrupted or has_failed

    def _new_piece(self, number: int, cut: Cut, before: SpokenPiece | None) -> SpokenPiece:
        def is_last() -> bool:
            has_more = self._cutter.has_more or not self._cutter.has_ended
            return not has_more and self._live_pieces[-1].number == number

        id_ = f"{self.id}-{number + 1}"
        planner, delivery = self._planner, self._delivery
        return SpokenPiece(id_, number, cut, planner, delivery, before, is_last, on_news=self._news.set)

    def _count_ended(self) -> None:
        """Count the pieces that have ended, in their order. After one that failed, no other is spoken."""
        while self._live_pieces and (task := self._live_pieces[0].task) is not None and task.done():
            piece = self._live_pieces.pop(0)
            self._count_usage(piece)
            if piece.failure is not None and self._failure is None:
                self._failure = piece.failure
                self._stop_pieces("failed")
            if not task.cancelled():
                task.result()

    def _count_usage(self, piece: SpokenPiece) -> None:
        piece.task = None  # a cancelled task refers to its frames, and these to the piece
        usage, more = self._usage, piece.usage
        self._usage = UtteranceUsage(usage.characters + more.characters, usage.seconds + more.seconds)

    def _stop_pieces(self, why: StopReason) -> None:
        for piece in self._live_pieces:
            piece.stop_speaking(why)
