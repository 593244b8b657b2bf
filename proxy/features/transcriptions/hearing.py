"""Hears a recording by one candidate after the other, and counts the cost of each attempt."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram

from policies import price
from policies.plans import Terms
from policies.price import Rate
from policies.routing import Model
from policies.routing.hearing import HearQuery, decide_hearing
from proxy.access.callers import Caller
from proxy.audio.recordings.decoder import Decoder
from proxy.catalogue.catalogue import Catalogue
from proxy.engines.engine_list import Engines
from proxy.errors import (
    HostLost,
    InvalidRequest,
    NotAllowed,
    RequestFailed,
    UpstreamFailed,
    from_engine,
)
from proxy.feature import RevisionContext
from proxy.features.transcriptions.events import checked_transcripts
from proxy.features.transcriptions.form import FILE, HearRequest
from proxy.features.transcriptions.long_decoder import LongDecoder
from proxy.features.transcriptions.rates import MOST_WAIT_S, SHORT_S, HearingRates
from proxy.features.transcriptions.uploads import DecodedUpload, Uploads
from proxy.ledger import Hold, HoldRequest, Outcome, Spent, SpentAttempt, SpentPart
from proxy.ledger.budgets import Budgets
from proxy.speech.candidate_race import IDLE_S
from proxy.speech.candidate_stream import HOST_STALL_S
from proxy.telemetry.metrics import Metrics
from speech_engine import (
    EngineError,
    EngineFailed,
    EngineTimeout,
    Hear,
    HearJob,
    Transcript,
    UnusableSample,
)
from speech_engine.hearing import HEARING_HZ
from speech_engine.host.engine_stream import EngineStream, run_to_end
from speech_engine.redacted import Redacted
from speech_engine.values import Urgency

LEAST_S = 1.0
"""An account that cannot pay for so many seconds is refused before its recording is decoded."""
_SHORT_QUEUE_S = 60.0
_PROVIDER_STALL_S = 60.0

_log = structlog.get_logger()


class HearCall(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """A request that was read, routed and decoded. Only its totals change."""

    id: str
    caller: Caller
    terms: Terms
    request: HearRequest
    models: tuple[Model, ...]
    recording: DecodedUpload
    urgency: Urgency = "live"

    def queue_s(self, model: Model) -> float:
        """Return the longest wait for its turn. `HearingRates` has let a long recording in."""
        is_long = model.info.is_local and self.recording.seconds > SHORT_S
        live_s = MOST_WAIT_S if is_long else _SHORT_QUEUE_S
        return IDLE_S if self.urgency == "idle" else live_s


class _Attempt:
    def __init__(self, model: Model, rate: Rate | None) -> None:
        self.model = model
        self.units: float | None = None
        self.was_dispatched = False
        self._rate = rate

    def set_dispatched(self, is_dispatched: bool) -> None:
        self.was_dispatched = is_dispatched

    def count_units(self, units: float) -> None:
        self.units = units

    def ledger_row(self, seconds: float) -> SpentAttempt:
        units, a_minute = self.units, self.model.info.units_a_minute
        if units is None and a_minute is not None and self.was_dispatched:
            units = a_minute * seconds / 60
        return SpentAttempt(
            engine=self.model.engine,
            model=self.model.info.id,
            characters=0,
            seconds=seconds if self.was_dispatched else 0.0,
            units=units,
            rate=self._rate if self.was_dispatched else None,
            was_submitted=self.was_dispatched,
        )


class HearTotals:
    """What a request has used so far. Of the recording, `given_s` seconds were sent to the client as text."""

    def __init__(self, call: HearCall) -> None:
        self.attempts: list[_Attempt] = []
        self.given_s = 0.0
        self.text = self.language = ""
        self.model: Model | None = None
        self.first_ms: int | None = None
        self.began: float | None = None
        self.error: str | None = None
        self._call = call

    def settlement(self, given_s: float | None = None) -> Spent:
        """Return what is charged, as if the text up to `given_s` was given out."""
        call, model = self._call, self.model
        given_s = self.given_s if given_s is None else given_s
        samples = round(min(given_s, call.recording.seconds) * HEARING_HZ)
        engine, id_ = ("", "") if model is None else (model.engine, model.info.id)
        part = SpentPart(
            engine=engine, model=id_, characters=0, estimated_s=call.recording.seconds, samples=samples
        )
        return Spent(
            engine=engine,
            model=id_,
            language=self.language,
            format=call.request.format,
            samples=samples,
            charged_samples=samples,
            sample_rate_hz=HEARING_HZ,
            first_byte_ms=self.first_ms,
            error=self.error,
            parts=(part,),
            attempts=tuple(attempt.ledger_row(call.recording.seconds) for attempt in self.attempts),
            kind="transcription",
        )


def highest_charge(models: tuple[Model, ...], terms: Terms, seconds: float) -> int:
    """Return the most that hearing so many seconds may cost."""
    prices = [terms.prices.work_price("transcription", model.engine, model.info.id) for model in models]
    return max(price.estimate_charge(each, estimated_s=seconds, characters=0) for each in prices)


def hold_request(call: HearCall, tag: str, *, is_stream: bool, job: str = "") -> HoldRequest:
    caller, seconds = call.caller, call.recording.seconds
    return HoldRequest(
        account=caller.account,
        key=caller.key,
        anchor=caller.anchor,
        terms=call.terms,
        request_id=call.id,
        amount=highest_charge(call.models, call.terms, seconds),
        estimated_s=seconds,
        is_stream=is_stream,
        job=job,
        tag=tag,
    )


class HearingMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.seconds = Counter(
            "voxgate_transcribed_seconds", "Sound that was heard.", ["engine", "model"], registry=registry
        )
        self.waited = Histogram(
            "voxgate_first_transcript_seconds",
            "From the decoded recording to the first text.",
            ["engine", "model"],
            buckets=(0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 480),
            registry=registry,
        )


class Hearing:
    def __init__(
        self,
        catalogue: Catalogue,
        engines: Engines,
        budgets: Budgets,
        rates: HearingRates,
        metrics: HearingMetrics,
    ) -> None:
        self._catalogue = catalogue
        self._engines = engines
        self._budgets = budgets
        self.rates = rates
        self._metrics = metrics

    def find_models(self, request: HearRequest, terms: Terms) -> tuple[Model, ...]:
        """Return the models that may hear a request, in order. Raises NotFound, InvalidRequest, NotAllowed
        and UpstreamFailed."""
        form = request.form
        query = HearQuery(form.language, request.task, request.format, needs_times=request.times != "")
        found = self._catalogue.resolve_models(form.model)
        models, error = decide_hearing(found, query, terms, self._catalogue.licences)
        if error is not None:
            failure = NotAllowed if error.is_forbidden else InvalidRequest
            raise failure(error.message, param=error.field, code=error.code)
        return models

    async def transcripts(
        self, call: HearCall, totals: HearTotals, *, goes_whole: bool
    ) -> AsyncGenerator[Transcript, None]:
        """Yield what is heard. If a candidate fails before anything was yielded, the next one hears the
        recording. With `goes_whole`, nothing is yielded before all of it was heard. Raises EngineError."""
        first, account, seconds = call.models[0].name, call.caller.account, call.recording.seconds
        self.rates.begin_hearing(first, account, seconds)
        took_s: float | None = None
        try:
            async with aclosing(self._hear_by_candidates(call, totals, goes_whole=goes_whole)) as found:
                async for transcript in found:
                    yield transcript
            # The time of a stream depends on its reader, and that of an idle recording on all others.
            if goes_whole and call.urgency == "live" and totals.began is not None:
                took_s = time.monotonic() - totals.began
        finally:
            self.rates.end_hearing(first, account, seconds, took_s)

    async def _hear_by_candidates(
        self, call: HearCall, totals: HearTotals, *, goes_whole: bool
    ) -> AsyncGenerator[Transcript, None]:
        remaining, was_repeated, has_yielded = deque(call.models), False, False
        while True:
            totals.model = model = remaining.popleft()
            try:
                async with aclosing(self._hear_by_model(model, call, totals)) as found:
                    if goes_whole:
                        whole = [transcript async for transcript in found]
                        has_yielded = True
                        for transcript in whole:
                            yield transcript
                        return
                    async for transcript in found:
                        has_yielded = has_yielded or bool(transcript.segments)
                        yield transcript
                    return
            except EngineError as error:
                if (failure := call.recording.pcm.failure) is not None:
                    raise failure from None  # the recording broke, and no engine
                _log.warning(
                    "engine.hear.failed", request=call.id, model=model.name, error=type(error).__name__
                )
                if isinstance(error, HostLost) and not was_repeated and not has_yielded:
                    was_repeated = True  # the next host hears it
                    remaining.appendleft(model)
                elif has_yielded or not remaining or not error.may_fall_back:
                    raise

    async def begin_attempt(self, model: Model, call: HearCall, totals: HearTotals) -> _Attempt:
        """Note that a model is to hear a recording. Raises UpstreamFailed if its budget is used up."""
        await self._budgets.check_budgets(model.engine, call.caller.account, call.terms)
        attempt = _Attempt(model, self._catalogue.provider_rate(model))
        totals.attempts.append(attempt)
        return attempt

    async def _hear_by_model(
        self, model: Model, call: HearCall, totals: HearTotals
    ) -> AsyncGenerator[Transcript, None]:
        attempt, began = await self.begin_attempt(model, call, totals), time.monotonic()
        totals.began = began
        work = Hear(_new_job(call, model))
        stream = self._engines[model.engine].open(work, attempt.set_dispatched, call.recording.pcm)
        try:
            is_first = True
            async for transcript in _checked_events(stream, attempt, call, model):
                if is_first:
                    self._metrics.waited.labels(model.engine, model.info.id).observe(time.monotonic() - began)
                is_first = False
                yield transcript
            self._metrics.seconds.labels(model.engine, model.info.id).inc(call.recording.seconds)
        except EngineError as error:
            # Any other error is a refusal before the work has begun, so no provider bills for it.
            if not isinstance(error, (EngineFailed, EngineTimeout)) and attempt.units is None:
                attempt.was_dispatched = False
            raise
        finally:
            await run_to_end(stream.close())


class HearingParts:
    """The objects for hearing that live as long as a worker. Features that come later use them, too."""

    def __init__(self, metrics: Metrics, decoder: Decoder, long_decoder: LongDecoder) -> None:
        self.long_decoder = long_decoder
        self.uploads = Uploads(decoder, long_decoder)
        self._rates = HearingRates()
        self.metrics = HearingMetrics(metrics.registry)

    def hearing(self, revision: RevisionContext) -> Hearing | None:
        """Return the `Hearing` of a revision, or None in a command."""
        catalogue, engines, budgets = revision.catalogue, revision.context.engines, revision.budgets
        if catalogue is None or engines is None or budgets is None:
            return None
        return Hearing(catalogue, engines, budgets, self._rates, self.metrics)


RECORDING_FAULT = "unusable_sample"


@asynccontextmanager
async def settling(
    hold: Hold, totals: HearTotals, outcome_if_cancelled: Callable[[], Outcome]
) -> AsyncIterator[None]:
    """Settle a hold if its block fails, for the text that was sent before. The block itself must settle it
    at its end, else it is abandoned. Raises RequestFailed."""
    try:
        yield
    except (EngineError, RequestFailed) as error:
        failure = failure_of(error)
        totals.error = RECORDING_FAULT if isinstance(failure, InvalidRequest) else failure.code
        await hold.settle("failed", totals.settlement())
        raise failure from None
    except asyncio.CancelledError:
        await hold.settle(outcome_if_cancelled(), totals.settlement())
        raise
    finally:
        if not hold.is_written:
            await hold.abandon(totals.settlement())


def failure_of(error: EngineError | RequestFailed) -> RequestFailed:
    """Return the failure that a client gets for an error while its recording is heard."""
    if isinstance(error, RequestFailed):
        return error
    if isinstance(error, UnusableSample):
        return InvalidRequest(f"Invalid '{FILE}': {error.message}", param=FILE, code="invalid_audio")
    failure = from_engine(error)
    if isinstance(failure, UpstreamFailed):
        failure.message = "No model could write this recording down now. Try again later."
    return failure


def _checked_events(
    stream: EngineStream, attempt: _Attempt, call: HearCall, model: Model
) -> AsyncGenerator[Transcript, None]:
    # Providers hear all of a recording before they answer, and idle work may wait between two windows.
    seconds, is_idle = call.recording.seconds, call.urgency == "idle"
    stall_s = HOST_STALL_S if model.info.is_local else _PROVIDER_STALL_S + seconds / 5
    queue_s = call.queue_s(model)
    stall_s = max(stall_s, queue_s if is_idle else 0.0)
    return checked_transcripts(stream, seconds, stall_s + queue_s, stall_s, attempt.count_units)


def _new_job(call: HearCall, model: Model) -> HearJob:
    request, form, recording = call.request, call.request.form, call.recording
    return HearJob(
        id=call.id,
        tenant=call.caller.account,
        model=model.info.id,
        recording=recording.digest,
        estimated_s=recording.seconds,
        language=form.language,
        languages=form.languages,
        prompt=form.prompt,
        keywords=form.keywords,
        temperature=form.temperature or None,
        task=request.task,
        times=request.times,
        deadline_s=call.queue_s(model),
        share=call.terms.share,
        urgency=call.urgency,
    )
