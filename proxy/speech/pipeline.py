"""The one path of every speech: look-up → text → hold → first audio → bytes → settlement → last bytes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import structlog

from policies import price
from policies.marking import MarkUse
from proxy.engines.marks import AnswerMark
from proxy.errors import from_engine
from proxy.ledger import Hold, HoldRequest, Ledger
from proxy.provenance.clip_digest import ClipDigest
from proxy.provenance.manifests import Manifests
from proxy.provenance.marker import RETRY_S, Marker
from proxy.speech.answer import Answer
from proxy.speech.cache import Cache, CacheLookup, Clip
from proxy.speech.call import SpeechCall
from proxy.speech.candidate_race import FirstAudio, error_details
from proxy.speech.loudness_levels import LoudnessLevels
from proxy.speech.manifest_embedding import ManifestEmbedding
from proxy.speech.marked_speech import MarkedSpeech
from proxy.speech.relay import begin_speech
from proxy.speech.sound_queue import SpillRoom
from proxy.speech.speech_stream import Speech
from proxy.speech.text_preparation import TextPreparation
from proxy.telemetry.metrics import Metrics
from proxy.voices.erased_voices import ErasedVoices
from speech_engine import EngineError, EngineUnavailable

_log = structlog.get_logger()


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
        marker: Marker,
        manifests: Manifests,
        *,
        has_receipts: bool = False,
    ) -> None:
        self._marker = marker
        self._manifests = manifests
        self._has_receipts = has_receipts
        self._unkept_manifests: set[str] = set()
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
        if not voices:
            await self._answer(call, delivery)
            return
        with self._erased.speaking(voices):
            if (erased := self._erased.erasure_of(voices)) is not None:
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
            answer = self._open_answer(call, speech, hold, lookup)
            tally.first_byte_ms = round((time.monotonic() - tally.began) * 1000)
            await delivery.write(answer)
            if answer.is_whole:
                lookup.keep(call, answer.speech)
        except EngineError as raised:
            # An engine that has lost the recording of an erased voice has not failed.
            error = self._erased.erasure_of(call.plan.own_voices) or raised
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
                self._note_lost_manifests(call)
            for part, samples in tally.written_parts():
                if part.engine:
                    self._metrics.spoken(part.engine, part.model_id, samples / tally.sample_rate_hz)

    def _note_lost_manifests(self, call: SpeechCall) -> None:
        """Count the answers of providers who had signed the sound, where ours do not say so."""
        if call.tally.keeps_manifest:
            return
        for engine in {each.model.engine for each in call.tally.attempts if each.output.has_manifest}:
            self._metrics.manifests.lost(engine)
            if engine not in self._unkept_manifests:
                self._unkept_manifests.add(engine)
                _log.warning("manifest.provider.lost", engine=engine)

    def _open_answer(self, call: SpeechCall, speech: Speech, hold: Hold, lookup: CacheLookup) -> Answer:
        marking, request = call.plan.marking, call.request
        has_manifest = marking is not None and marking.has_manifest
        # A manifest beside the clip is signed later, and of the clip no more is known then than its digest.
        digest = ClipDigest() if self._has_receipts or has_manifest else None
        if not has_manifest and request.provenance is None:
            answer = Answer(call, speech, hold, lookup, self._room, self._erased, digest)
        else:
            embedding = ManifestEmbedding.of(self._manifests, call, speech)
            finish = None if embedding is None else embedding.finish
            answer = Answer(call, speech, hold, lookup, self._room, self._erased, digest, finish)
            answer.note_manifest(self._manifests.id_of(call.id) if has_manifest else "")
        answer.has_receipt = self._has_receipts
        return answer

    async def _begin(self, call: SpeechCall, lookup: CacheLookup) -> Speech:
        if lookup.clip is not None:
            call.tally.names = lookup.clip.about.engine, lookup.clip.about.model
            return self._cache.replay(lookup)
        began = time.monotonic()
        speech = await self._begin_marked(call, began - call.tally.began)
        self._metrics.first_audio(call.tally.current_part.speaker, time.monotonic() - began)
        return speech

    async def _begin_marked(self, call: SpeechCall, waited_s: float) -> Speech:
        """Begin to speak, with a mark if one is due. It is opened first: nothing due is spoken without."""
        marking = call.plan.marking
        if marking is None or marking.mark is None:
            return await begin_speech(self._first_audio, self._levels, self._room, call, waited_s)
        mark = await self._open_mark(call, marking.mark, waited_s)
        waited_s = time.monotonic() - call.tally.began
        marked: MarkedSpeech | None = None
        has_begun = False
        try:
            speech = await begin_speech(self._first_audio, self._levels, self._room, call, waited_s)
            marked = MarkedSpeech(speech, mark, call.form)
            await marked.begin()
            has_begun = True
            return marked
        finally:
            if not has_begun:
                await (marked or mark).close()

    async def _open_mark(self, call: SpeechCall, use: MarkUse, waited_s: float) -> AnswerMark:
        """Open the mark in the time for the first audio: its process may have to load."""
        left_s = self._first_audio.budget_s(call.plan.parts[0]) - waited_s
        try:
            async with asyncio.timeout(left_s):
                return await self._marker.open(use, call.sound_form.sample_rate_hz)
        except TimeoutError:
            message = f"The mark {use.plugin} is not ready yet."
            raise EngineUnavailable(message, retry_after_s=RETRY_S) from None


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
