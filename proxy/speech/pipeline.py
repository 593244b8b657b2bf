"""The path of every speech: look-up → text → hold → first audio → bytes → settlement → last bytes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import msgspec
import structlog

from policies import price
from proxy.errors import RequestFailed, from_engine
from proxy.helpers.outside import outside
from proxy.ledger import Hold, HoldRequest, Ledger
from proxy.speech.activity import Activity
from proxy.speech.answer import Answer
from proxy.speech.attempt import error_details
from proxy.speech.call import SpeechCall
from proxy.speech.candidate_race import FirstAudio
from proxy.speech.filtered_speech import begin_filtered
from proxy.speech.loudness_levels import LoudnessLevels
from proxy.speech.observer import NO_OBSERVERS, Observer, Observers, end_all
from proxy.speech.part_check import NO_CHECK, PlanCheck
from proxy.speech.path_step import Begin, PathStep, PathTools
from proxy.speech.source import LookUp, Source, StoredSpeech
from proxy.speech.speech_stream import Speech
from proxy.speech.spill import SpillQuota
from proxy.speech.text_preparation import TextPreparation
from proxy.speech.whole_quota import WholeQuota
from proxy.telemetry.metrics import Metrics
from speech_engine import EngineError

_log = structlog.get_logger()


Write = Callable[[Answer], Awaitable[None]]
"""Sends all chunks of an answer to its client, then settles, then sends the last bytes."""
SentShare = Callable[[], float | None]
"""Returns None while the client is connected, and then the share of the written bytes that had left this
machine."""


class _Resources(msgspec.Struct, frozen=True):
    """The resources of an answer before an engine speaks. Only an answer that is sent whole has a
    `whole_quota`."""

    lookup: LookUp
    hold: Hold
    observers: Observers
    whole_quota: WholeQuota | None


class Pipeline:
    """Answers calls. The functions in `ended` get each call at its end, with or without observers. An
    `Observer` sees one answer while it is made."""

    def __init__(
        self,
        texts: TextPreparation,
        first_audio: FirstAudio,
        levels: LoudnessLevels,
        source: Source,
        ledger: Ledger,
        metrics: Metrics,
        spill_quota: SpillQuota,
        ended: Sequence[Callable[[SpeechCall], None]] = (),
        part_check: PlanCheck = NO_CHECK,
        activity: Activity | None = None,
    ) -> None:
        self._activity = activity or Activity()
        tools = PathTools(first_audio, levels, part_check, spill_quota)
        self._relay: PathStep = outside("proxy.speech_steps.relay", "RelayStep", PathStep)(tools)
        self._quota = outside("proxy.speech_steps.whole_quota", "DiskQuota", WholeQuota)
        self.sends_whole = self._quota is not WholeQuota
        self._end_hooks = ended
        self._texts = texts
        self._first_audio = first_audio
        self._source = source
        self._ledger = ledger
        self._metrics = metrics
        self._spill_quota = spill_quota

    async def answer(self, call: SpeechCall, write: Write, sent_share: SentShare) -> None:
        """Answer a call. Raises RequestFailed."""
        opened: list[Observer] = []
        self._activity.call_began(is_idle=call.is_idle)
        try:
            for open_observer in call.openers:
                opened.append(open_observer(call))
            budget_s = self._first_audio.budget_s(call, call.totals.parts[0])
            lookup = await self._source.look_up(call, budget_s)
            if lookup.observer is not None:
                opened.append(lookup.observer)
            observers = Observers(opened) if opened else NO_OBSERVERS
            call.totals.began = time.monotonic() - lookup.waited_s
            if lookup.stored is None:
                await self._texts.prepare(call, budget_s)
            else:
                call.totals.replay(lookup.stored.names, lookup.stored.speakers)
            whole_quota = self._whole_quota(call, lookup, observers) if call.goes_whole else None
            hold = await self._ledger.hold(_hold_request(call, lookup.stored))
            call.totals.is_held = True
            try:
                if whole_quota is not None:
                    whole_quota.take_room()
                for take_place in observers.take_place:
                    await take_place()
                resources = _Resources(lookup, hold, observers, whole_quota)
                await self._speak(call, resources, write, sent_share)
            finally:
                if whole_quota is not None:
                    whole_quota.leave()
                if not hold.is_written:
                    await hold.abandon(call.totals.spent())
        except BaseException as error:
            end_all(opened, error)
            raise
        finally:
            self._activity.call_ended(is_idle=call.is_idle)
        end_all(opened, None)

    def _whole_quota(self, call: SpeechCall, lookup: LookUp, observers: Observers) -> WholeQuota:
        is_rewritten = observers.rewriter is not None
        return self._quota(call, lookup.stored, self._spill_quota, is_rewritten=is_rewritten)

    async def prepare_texts(self, call: SpeechCall) -> None:
        """Prepare the texts of a call that is not spoken now. Raises RequestFailed."""
        await self._texts.prepare(call, self._first_audio.budget_s(call, call.totals.parts[0]))

    async def estimate(self, call: SpeechCall) -> HoldRequest:
        """Return what a call would hold if the cache does not answer it. Nothing is held or spoken, but the
        texts are prepared, and the winner of each part is the candidate that would speak now.

        Raises RequestFailed.
        """
        parts = call.totals.parts
        await self.prepare_texts(call)
        self._quota.check_size(call, None)
        try:
            for part in parts:
                part.winner = self._first_audio.likely_candidate(call, part)
        except EngineError as error:
            raise from_engine(error) from None
        return _hold_request(call, None)

    async def _speak(
        self, call: SpeechCall, resources: _Resources, write: Write, sent_share: SentShare
    ) -> None:
        totals, answer = call.totals, None
        hold, observers, whole_quota = resources.hold, resources.observers, resources.whole_quota
        stored, totals.cache = resources.lookup.stored, resources.lookup.state
        try:
            began = time.monotonic()
            speech = stored or await self._begin_speech(call, began - totals.began)
            if stored is None:
                self._metrics.first_audio.observe(totals.current_part.speaker, time.monotonic() - began)
            if whole_quota is None:
                answer = Answer(call, speech, hold, self._spill_quota, observers)
            else:
                answer = whole_quota.begin_answer(speech, hold, observers)
            for note_begin in observers.begin:
                note_begin(speech)
            totals.first_byte_ms = round((time.monotonic() - totals.began) * 1000)
            await write(answer)
            for finish in observers.finish:
                finish()
        except EngineError as error:
            raise await self._settle_failure(call, resources, answer, error) from None
        except asyncio.CancelledError:
            share = sent_share()
            if answer is not None and share is not None:
                answer.count_sent(share)
            await hold.settle("failed" if share is None else "left", totals.spent())
            raise
        finally:
            try:
                if answer is not None:
                    await answer.close()
            finally:
                # Features need the end of each answer that began, even if the client leaves meanwhile.
                if totals.attempts:
                    self._note_end(call, answer)

    def _begin_speech(self, call: SpeechCall, waited_s: float) -> Awaitable[Speech]:
        first = call.totals.parts[0]
        begin: Begin = partial(self._first_audio.start_stream, call, first)
        # A text of signs may have nothing that an engine can read.
        if call.plan.is_joined or "[" in first.text or not any(map(str.isalnum, first.text)):
            begin = self._relay.wraps(call, begin)
        treatment = call.plan.treatment
        if treatment is None or treatment.filter is None:
            return begin(waited_s)
        left_s = self._first_audio.budget_s(call, call.totals.parts[0]) - waited_s
        return begin_filtered(call, treatment.filter, left_s, begin)

    async def _settle_failure(
        self, call: SpeechCall, resources: _Resources, answer: Answer | None, error: EngineError
    ) -> RequestFailed:
        for error_for_client in resources.observers.fail:
            error = error_for_client(error)
        totals, failure = call.totals, from_engine(error)
        if answer is None:
            part, command_for = totals.current_part.part, self._first_audio.command_for
            failure.message += part.wait_advice(call.request.model, error, command_for)
        else:
            speaker = totals.current_part.speaker
            _log.warning("engine.speak.broken", **error_details(call.id, speaker, error))
            answer.count_broken()
        totals.error = failure.code
        await resources.hold.settle("failed", totals.spent())
        self._metrics.failures.labels(totals.current_part.engine, type(error).__name__).inc()
        return failure

    def _note_end(self, call: SpeechCall, answer: Answer | None) -> None:
        """Count the spoken seconds, and notify the features of the answer's end."""
        totals = call.totals
        if answer is not None:
            for note in self._end_hooks:
                note(call)
        is_robot = False
        for part, samples in totals.written_parts():
            is_robot = is_robot or (part.winner is not None and part.winner.is_robot)
            if (candidate := part.candidate) is not None:
                engine, id_ = candidate.model.engine, candidate.model.info.id
                if candidate.post is not None:
                    engine, id_ = part.engine, f"{id_}+{candidate.post.model.info.id}"
                self._metrics.seconds.counts[engine, id_] += samples / totals.sample_rate_hz
        if is_robot:
            self._metrics.robots.inc()


def _hold_request(call: SpeechCall, stored: StoredSpeech | None) -> HoldRequest:
    terms = call.plan.terms
    if stored is None:
        charges, estimated_s = [], 0.0
        for part in call.totals.parts:
            charge, length_s = part.highest_charge(terms)
            charges.append(charge)
            estimated_s += length_s
        amount = price.most_charge(charges)
    else:
        # Its length is known, so the price is exact.
        estimated_s = stored.samples / stored.sample_rate_hz
        whole = price.PricedPart(terms.prices.cached, stored.samples, len(call.request.text))
        amount = price.total_charge((whole,), stored.sample_rate_hz)
    return HoldRequest(
        request_id=call.id,
        account=call.caller.account,
        key=call.caller.key,
        anchor=call.caller.anchor,
        terms=terms,
        amount=amount,
        estimated_s=estimated_s,
        is_stream=call.is_stream and not call.job,
        job=call.job,
        tag=call.tag,
    )
