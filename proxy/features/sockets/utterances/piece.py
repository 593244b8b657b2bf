"""A piece of an utterance: a call through the pipeline, made ahead, and sent when its turn comes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Literal

from policies import estimate
from proxy.api.speech_headers import base_voices
from proxy.audio import libraries
from proxy.errors import REQUEST_FAULT_CODES, QuotaExceeded, RequestFailed
from proxy.features.sockets.utterances.cutter import Cut
from proxy.features.sockets.utterances.delivery import Delivery
from proxy.features.sockets.utterances.piece_planner import PiecePlanner
from proxy.features.sockets.utterances.spoken_words import PieceWords
from proxy.features.sockets.utterances.values import PieceEnd, PieceStart, PlacedWord, UtteranceUsage
from proxy.speech.answer import Answer
from proxy.speech.call import SpeechCall
from proxy.speech.spill import PlayClock
from proxy.storage.store import StorageFailed

_NEARLY_S = 3.0
"""When less than this is left to send, the next piece begins."""

StopReason = Literal["interrupted", "failed"]


class SpokenPiece:
    """One piece. `before` is the piece before it. It calls `on_news` when the next one may begin, and at its
    end. `is_last` tells whether no other piece will follow."""

    def __init__(
        self,
        id_: str,
        number: int,
        cut: Cut,
        planner: PiecePlanner,
        delivery: Delivery,
        before: SpokenPiece | None,
        is_last: Callable[[], bool],
        on_news: Callable[[], None],
    ) -> None:
        self.id = id_
        self.number = number
        self.cut = cut
        self.call: SpeechCall | None = None
        self.failure: RequestFailed | None = None
        self.task: asyncio.Task[None] | None = None
        self.is_over = asyncio.Event()
        self.is_finished = False
        self._planner = planner
        self._delivery = delivery
        self._before = before
        self._is_last = is_last
        self._on_news = on_news
        # Set when all sound is made. `_write` replaces it by the event of its answer.
        self.made = asyncio.Event()
        self._answer: Answer | None = None
        self._words: PieceWords | None = None
        self._encoded_bytes = 0
        self._written_s = 0.0
        self._bytes_before: int | None = None
        self._stop_reason: StopReason | None = None
        self._is_settling = self._is_charged = False

    @property
    def is_audible(self) -> bool:
        return self._words is not None

    @property
    def left_s(self) -> float:
        """The sound that is still to be sent, by estimate until all of it is made."""
        if self.is_over.is_set():
            return 0.0
        length_s, answer = self._length_s, self._answer
        return max(0.0, length_s if answer is None else length_s - answer.seconds)

    @property
    def is_near_end(self) -> bool:
        return self.is_over.is_set() or (self.is_audible and self.left_s < _NEARLY_S)

    @property
    def usage(self) -> UtteranceUsage:
        """The usage of a piece that is over, as its row has it. A failure is free, and is none."""
        if self.call is None or not self.call.totals.is_held or not self._is_charged:
            return UtteranceUsage()
        spent = self.call.totals.spent()
        return UtteranceUsage(spent.characters, spent.charged_samples / spent.sample_rate_hz)

    async def plan_call(self) -> SpeechCall:
        """Plan the call anew. Raises RequestFailed."""
        plays_at = None
        if self._before is not None:
            clock = self._delivery.clock
            plays_at = time.monotonic() + clock.given_s - clock.played_s + self._before.left_s
        self.call = await self._planner.plan_piece(self.id, self.cut, plays_at)
        return self.call

    def begin_speaking(self) -> None:
        """Begin to speak. The first piece is planned already."""
        self.task = asyncio.create_task(self._speak())

    def stop_speaking(self, why: StopReason) -> None:
        """Cancel it, unless all its sound was sent, and its settlement is being written."""
        if self.task is not None and not self._is_settling and not self.is_over.is_set():
            self._stop_reason = why
            self.task.cancel()

    def note_words(self) -> list[PlacedWord]:
        if self._words is None or self._answer is None:
            return []
        return self._words.note_spoken(self._answer.speech.words)

    async def _speak(self) -> None:
        try:
            try:
                await self._answer_call()
            except QuotaExceeded:
                # The hold of the piece before may be more than it costs.
                if self._before is None or self._before.is_over.is_set():
                    raise
                await self._wait_for_turn()
                await self._answer_call()
        except RequestFailed as failure:
            self.failure = failure
        except StorageFailed as error:
            self.failure = error.failure()
        finally:
            self.note_words()
            self._answer = None  # its clock knows this piece: the two would wait for a collection
            self.is_over.set()
            self._on_news()
        if self.failure is not None and self.call is not None:
            self._is_charged = self.call.totals.error in REQUEST_FAULT_CODES
            if self.is_audible:
                end = PieceEnd(self.number, self._encoded_bytes, self.failure)
                await self._delivery.send_whole(self._delivery.listener.piece_ended(end))

    async def _answer_call(self) -> None:
        before = self._before
        call = await self.plan_call() if before is not None or self.call is None else self.call
        if before is not None and before.call is not None and self._planner.waits_for(before.call, call):
            await before.made.wait()
        await libraries.ensure_loaded()
        await self._planner.pipeline.answer(call, self._write, self._sent_share)

    async def _write(self, answer: Answer) -> None:
        self._answer = answer
        clock = _TurnClock(self._delivery.clock, self._wait_for_turn)
        self.made = answer.keep_live_pace(lambda: False, clock)
        while (data := await answer.next_chunk()) is not None:
            await self._give_sound(answer, data)
        await self._wait_for_turn()
        last_sound = answer.last_bytes()
        self._is_settling = True
        await answer.settle()
        self._is_charged = self.is_finished = True
        await self._give_sound(answer, last_sound, is_last=True)

    async def _wait_for_turn(self) -> None:
        """Return when the piece before has finished. If it ended otherwise, this one is being stopped."""
        if self._before is None:
            return
        await self._before.is_over.wait()
        if not self._before.is_finished:
            await asyncio.Event().wait()  # until it is cancelled

    async def _give_sound(self, answer: Answer, data: bytes, *, is_last: bool = False) -> None:
        """Send sound, with the messages and words that belong to it. `sent_s` counts it at once."""
        delivery, start = self._delivery, None
        if self._words is None:
            self._bytes_before = delivery.listener.count_written()
            start = self._begin_turn(answer)
        words_of = self._words
        assert words_of is not None, "it has begun"
        self._on_news()
        if is_last:
            words_of.length_s = answer.seconds
        delivery.sent_s = words_of.begins_s + answer.seconds
        out = delivery.encode(data, ends_piece=is_last)
        if is_last and self._is_last():
            out += delivery.flush_stream()
        self._encoded_bytes += len(out)
        words = words_of.note_spoken(answer.speech.words, is_over=is_last)
        await delivery.send_whole(self._send_step(start, out, words, answer.seconds, is_last=is_last))

    def _begin_turn(self, answer: Answer) -> PieceStart:
        call, delivery = answer.call, self._delivery
        self._before = None  # else each piece would keep all earlier ones in memory
        self._planner.follow_piece(call)
        spoken, source = call.request.text, call.form.source
        self._words = delivery.begin_piece(self.cut, spoken, source, self._length_s)
        return PieceStart(
            number=self.number,
            text=self.cut.text,
            start=self.cut.start,
            request_id=call.id,
            start_ms=round(self._words.begins_s * 1000),
            model=answer.speech.engine,
            voice=call.plan.voice_id,
            language=call.plan.language,
            substitute=call.totals.announce_substitutes(),
            voice_base=base_voices(call) if ", " in answer.speech.engine else "",
        )

    async def _send_step(
        self,
        start: PieceStart | None,
        out: bytes,
        words: list[PlacedWord],
        written_s: float,
        *,
        is_last: bool,
    ) -> None:
        listener = self._delivery.listener
        if start is not None:
            await listener.piece_began(start)
        is_connected = listener.share_sent(self._bytes_before or 0) is None
        if is_connected:
            self._written_s = written_s  # to a client that is lost, nothing is written
        if out or words:
            await listener.send_sound(out, words)
        if is_last:
            await listener.piece_ended(PieceEnd(self.number, self._encoded_bytes))

    @property
    def _length_s(self) -> float:
        if self.call is None or self._answer is None:
            return estimate.expected_s(estimate.speech_seconds(self.cut.text, 1.0), 0, None, 1.0)
        stored, attempts = self._answer.speech.stored, self.call.totals.attempts
        if stored is not None:
            return stored.samples / self._answer.speech.sample_rate_hz
        if self.made.is_set() and len(self.call.plan.parts) == 1 and attempts:
            # An engine that spoke at the usual speed: the sound may be shorter, and never longer.
            return max(each.output.seconds for each in attempts) / max(1.0, self.call.request.speed)
        return estimate.expected_s(self.call.plan.estimated_s, 0, None, 1.0)

    def _sent_share(self) -> float | None:
        """Return the share of the given sound that the client got. One that is connected got all, and nothing
        of a piece whose turn did not come. None: another piece failed, so this one is free, too."""
        if self._stop_reason == "failed":
            return None
        self._is_charged = True
        if self._bytes_before is None:
            return 0.0
        if self._stop_reason or self._answer is None or not self._answer.seconds:
            return 1.0
        share = self._delivery.listener.share_sent(self._bytes_before)
        # The last sound may have been given out, but not yet written.
        return (1.0 if share is None else share) * self._written_s / self._answer.seconds


class _TurnClock(PlayClock):
    """The clock of an utterance for one of its pieces, which waits for its turn first."""

    def __init__(self, shared: PlayClock, wait_for_turn: Callable[[], Awaitable[None]]) -> None:
        super().__init__(shared.ahead_s, shared.piece_s)
        self._shared = shared
        self._wait_for_turn = wait_for_turn

    async def give_sound(self, seconds: float, is_hurried: Callable[[], bool]) -> None:
        await self._wait_for_turn()
        await self._shared.give_sound(seconds, is_hurried)
