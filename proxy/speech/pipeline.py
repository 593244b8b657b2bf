"""The one path of every speech: look-up → text → hold → first audio → bytes → settlement → last bytes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from math import ceil
from typing import NamedTuple

import structlog

from policies import price
from proxy.audio.formats import Chunk
from proxy.errors import VoiceErased, from_engine
from proxy.ledger import Hold, HoldRequest, Ledger
from proxy.speech.cache import Cache, CacheLookup, Clip
from proxy.speech.call import SpeechCall
from proxy.speech.candidate_race import FirstAudio, error_details
from proxy.speech.live_pace import PacedStream
from proxy.speech.loudness_levels import LoudnessLevels
from proxy.speech.prefetch import Prefetch
from proxy.speech.relay import begin_speech
from proxy.speech.sound_queue import ReaderPace, SpillRoom
from proxy.speech.speech_stream import Speech, SpeechStream
from proxy.speech.text_preparation import TextPreparation
from proxy.telemetry.metrics import Metrics
from proxy.voices.erased_voices import ErasedVoices
from speech_engine import EngineError

_log = structlog.get_logger()


class Answer:
    """An answer that has begun: its first bytes exist, so its headers may go out."""

    def __init__(
        self,
        call: SpeechCall,
        speech: Speech,
        hold: Hold,
        lookup: CacheLookup,
        room: SpillRoom,
        check_voices: Callable[[], None],
    ) -> None:
        self._check_voices = check_voices
        self.call = call
        self.speech = speech
        self.is_whole = False
        self._hold = hold
        self._lookup = lookup
        self._room = room
        self._sound: SpeechStream = speech
        self._prefetch: Prefetch[Speech] | None = None
        # The chunks that were given out and have not been taken by the client yet.
        self._unwritten: list[Chunk] = []
        # The samples that were given out when the client left: a recorded answer goes on without it.
        self._given_at_departure: int | None = None

    def __repr__(self) -> str:
        return f"<Answer {self.speech!r}, {self._hold!r}>"

    async def next_chunk(self) -> bytes | None:
        """Return the next bytes, or None before the last ones. They count as written at the next call."""
        self._count_written()
        self._lookup.resume()
        chunk = await self._sound.next_chunk()
        self._check_voices()
        if chunk is None:
            return None
        self._lookup.record(chunk.data)
        self._unwritten.append(chunk)
        return chunk.data

    def last(self) -> bytes:
        """Return the end of the sound, which is never empty. Send it only after `settle`."""
        chunk = self._sound.last_chunk()
        self._lookup.record(chunk.data)
        self._unwritten.append(chunk)
        self.is_whole = True
        return chunk.data

    @property
    def samples(self) -> int:
        """The samples that were given out so far."""
        return self.call.tally.samples + sum(chunk.samples for chunk in self._unwritten)

    @property
    def seconds(self) -> float:
        return self.samples / self.speech.sample_rate_hz

    async def settle(self) -> None:
        """Settle the request as finished, and return when that is on the disk.

        What goes out after that counts as written. If the client leaves before, it does not.
        """
        tally = self.call.tally
        before = tally.samples
        self._count_written()
        try:
            await self._hold.settle("finished", tally.spent())
        except BaseException:
            tally.samples = before
            raise

    async def whole(self) -> bytes:
        """Return the whole sound, for an answer in one piece. It counts as written at `settle`."""
        while (chunk := await self._sound.next_chunk()) is not None:
            self._check_voices()
            self._lookup.record(chunk.data)
            self._lookup.resume()
            self._unwritten.append(chunk)
        self._check_voices()
        self.last()
        return b"".join(chunk.data for chunk in self._unwritten)

    def run_ahead(self) -> None:
        """Read the rest in a task of its own, because the client is slow: the engine must not wait for it."""
        if self._prefetch is None and self.speech.holds_engine:
            self._sound = self._prefetch = Prefetch(self._begun, self._room)

    def keep_live_pace(self, is_hurried: Callable[[], bool]) -> None:
        """Give the sound at the pace at which it is heard. The engine does not wait for that."""
        self._lookup.go_alone()
        pace = ReaderPace()
        self._prefetch = Prefetch(self._begun, self._room, pace)
        self._sound = PacedStream(self._prefetch, is_hurried, pace)

    def note_departure(self) -> None:
        """Note that the client has left: of what is made from now on, nothing reaches it."""
        self._given_at_departure = self.samples

    def forget_unheard(self) -> None:
        """Count as written only what was given out before the client left."""
        tally = self.call.tally
        if self._given_at_departure is not None:
            tally.samples = min(tally.samples, self._given_at_departure)

    def count_sent(self, share: float) -> None:
        """Count only this share as written: the client left, and the rest of the sound did not reach it."""
        self._count_written()
        self.forget_unheard()
        self.call.tally.samples = ceil(self.call.tally.samples * share)

    async def close(self) -> None:
        if self._prefetch is not None:
            await self._prefetch.close()
        await self.speech.close()

    def _count_written(self) -> None:
        for chunk in self._unwritten:
            self.call.tally.add(chunk)
        self._unwritten.clear()

    async def _begun(self) -> Speech:
        return self.speech


class Delivery(NamedTuple):
    """The way of an answer to its client.

    `write` sends all chunks, then settles, then sends the last bytes. `sent_share` is None while the client
    is there. When it has left: the share of the written bytes that had left this machine.
    """

    write: Callable[[Answer], Awaitable[None]]
    sent_share: Callable[[], float | None]


class Pipeline:
    def __init__(
        self,
        texts: TextPreparation,
        first_audio: FirstAudio,
        levels: LoudnessLevels,
        cache: Cache,
        ledger: Ledger,
        metrics: Metrics,
        room: SpillRoom,
        erased: ErasedVoices,
    ) -> None:
        self._erased = erased
        self._texts = texts
        self._first_audio = first_audio
        self._levels = levels
        self._cache = cache
        self._ledger = ledger
        self._metrics = metrics
        self._room = room

    def __repr__(self) -> str:
        return f"<Pipeline over {self._first_audio!r}>"

    async def answer(self, call: SpeechCall, delivery: Delivery) -> None:
        """Answer a call. Raises RequestFailed. While this runs, an erasure of its voices waits for it."""
        voices = call.plan.own_voices
        with self._erased.speaking(voices):
            if (erased := self._erasure(voices)) is not None:
                raise from_engine(erased)
            await self._answer(call, delivery)

    async def _answer(self, call: SpeechCall, delivery: Delivery) -> None:
        budget_s = self._first_audio.budget_s(call.plan.parts[0])
        with await self._cache.look_up(call, budget_s) as lookup:
            call.tally.began = time.monotonic() - lookup.waited_s
            if lookup.clip is None:
                await self._texts.prepare(call, budget_s)
            hold = await self._ledger.hold(_hold_request(call, lookup.clip))
            try:
                await self._speak(call, lookup, hold, delivery)
            finally:
                if not hold.is_settled:
                    await hold.abandon(call.tally.spent())

    async def _speak(self, call: SpeechCall, lookup: CacheLookup, hold: Hold, delivery: Delivery) -> None:
        tally, answer = call.tally, None
        tally.cache = lookup.state
        try:
            speech = await self._begin(call, lookup)
            check = partial(self._check_voices, call.plan.own_voices)
            answer = Answer(call, speech, hold, lookup, self._room, check)
            tally.first_byte_ms = round((time.monotonic() - tally.began) * 1000)
            await delivery.write(answer)
            if answer.is_whole:
                lookup.keep(call, answer.speech)
        except EngineError as raised:
            # An engine that has lost the recording of an erased voice has not failed.
            error = self._erasure(call.plan.own_voices) or raised
            if answer is not None:
                speaker = tally.current_part.speaker
                _log.warning("engine.speak.broken", **error_details(call.id, speaker, error))
                answer.forget_unheard()
            failure = from_engine(error)
            tally.error = failure.code
            await hold.settle("failed", tally.spent())
            self._metrics.failed(tally.current_part.engine, type(error).__name__)
            raise failure from None
        except asyncio.CancelledError:
            if (share := delivery.sent_share()) is None:
                await hold.settle("failed", tally.spent())
            else:
                if answer is not None:
                    answer.count_sent(share)
                await hold.settle("left", tally.spent())
            raise
        finally:
            if answer is not None:
                await answer.close()
            for part, samples in tally.written_parts():
                if part.engine:
                    self._metrics.spoken(part.engine, part.model_id, samples / tally.sample_rate_hz)

    def _check_voices(self, voices: Collection[str]) -> None:
        if (erased := self._erasure(voices)) is not None:
            raise erased

    def _erasure(self, voices: Collection[str]) -> VoiceErased | None:
        """Return the error of a call with these voices, once one of them is erased."""
        return VoiceErased("The voice was deleted.") if self._erased.are_any_erased(voices) else None

    async def _begin(self, call: SpeechCall, lookup: CacheLookup) -> Speech:
        if lookup.clip is not None:
            call.tally.names = lookup.clip.about.engine, lookup.clip.about.model
            return self._cache.replay(lookup)
        began = time.monotonic()
        speech = await begin_speech(
            self._first_audio, self._levels, self._room, call, began - call.tally.began
        )
        self._metrics.first_audio(call.tally.current_part.speaker, time.monotonic() - began)
        return speech


def _hold_request(call: SpeechCall, clip: Clip | None) -> HoldRequest:
    terms = call.terms
    if clip is None:
        parts = [run.dearest(terms) for run in call.tally.parts]
        amount, estimated_s = sum([charge for charge, _ in parts]), sum([seconds for _, seconds in parts])
    else:
        amount, estimated_s = _clip_price(clip, call), clip.seconds
    return HoldRequest(
        request_id=call.id,
        account=call.caller.account,
        key=call.caller.key,
        anchor=call.caller.anchor,
        terms=terms,
        amount=amount,
        estimated_s=estimated_s,
    )


def _clip_price(clip: Clip, call: SpeechCall) -> int:
    """Compute the price of a clip. It is exact, because the length of a clip is known."""
    return price.charge(
        call.terms.prices.cached,
        samples=clip.about.samples,
        rate_hz=clip.about.sample_rate_hz,
        characters=len(call.request.text),
    )
