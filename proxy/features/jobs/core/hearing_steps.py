"""Kinds of jobs whose steps recognise the speech of a recording. The price of a step is held, and one commit
has its charge and its text as sealed JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from msgspec.structs import replace
from starlette.responses import Response

from policies.plans import Terms
from policies.routing import Model
from proxy.access.callers import Caller
from proxy.errors import NotFound
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.kind import StepAttempt, TextKind
from proxy.features.jobs.core.records import Job, JobClip, JobStep
from proxy.features.jobs.core.settling import settle_uncancelled
from proxy.features.transcriptions.hearing import HearCall, HearTotals, highest_charge, hold_request, settling
from proxy.features.transcriptions.long_decoder import LongDecoder
from proxy.ledger import Hold, Ledger, Payer
from proxy.storage.spoken_voices import voices_column
from speech_engine.hearing import HEARING_HZ


class HearingKind(TextKind):
    """A kind whose steps are stretches of a recording, whose speech a model recognises."""

    def __init__(self, files: JobFiles, decoder: LongDecoder, ledger: Ledger) -> None:
        super().__init__(files)
        self.decoder = decoder
        self._ledger = ledger

    async def check_payer(
        self, caller: Caller, terms: Terms, models: tuple[Model, ...], seconds: float
    ) -> Payer:
        """Return the payer of so many seconds. Raises QuotaExceeded if it certainly cannot pay them, before
        anything is decoded."""
        payer = Payer(account=caller.account, key=caller.key, anchor=caller.anchor, terms=terms)
        await self._ledger.check_affordable(payer.of_job(), highest_charge(models, terms, seconds))
        return payer

    @asynccontextmanager
    async def hold_price(
        self, job: Job, call: HearCall, totals: HearTotals, attempt: StepAttempt
    ) -> AsyncIterator[Hold]:
        """Hold the price of a step until the block is left. See `settling`."""
        attempt.engine_attempts = totals.attempts
        hold = await self._ledger.hold(hold_request(call, job.tag, is_stream=False, job=job.id))
        async with settling(hold, totals, lambda: "left" if attempt.has_lost() else "failed"):
            yield hold

    async def settle_step(
        self, step: JobStep, call: HearCall, totals: HearTotals, hold: Hold, text: bytes, voice: str = ""
    ) -> None:
        """Commit the JSON of a step with the charge for all of its sound."""
        row = JobClip(
            step=step.id,
            job=step.job,
            account=step.account,
            number=step.number,
            request=call.id,
            digest=await self.files.put(step.account, text),
            bytes=len(text),
            samples=round(call.recording.seconds * HEARING_HZ),
            sample_rate_hz=HEARING_HZ,
            voices=voices_column([voice] if voice else []),
        )
        spent = replace(totals.settlement(call.recording.seconds), rows=(row,))
        try:
            # From here on, a cancellation waits: the commit is made, or fails as a whole.
            await settle_uncancelled(partial(hold.settle, "finished", spent))
        finally:
            # `drop` keeps a blob that a row names.
            await self.files.drop(step.account, row.digest)

    async def step_content(self, job: Job, clip: JobClip, range_: str | None) -> Response:
        raise NotFound("The steps of this job have no sound.", param="number")
