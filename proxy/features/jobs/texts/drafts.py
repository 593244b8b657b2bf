"""Drafts of jobs: the text and the steps of a job before it is made. New jobs, previews, and jobs that repeat
a part of another are all made of a draft."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from policies import estimate, price
from policies.lexicon import WordsBeside
from policies.plans import Terms
from policies.text_tags import EMOTIONS, name_key
from proxy.api.speech_forms import BackgroundRequest
from proxy.config import credits
from proxy.feature import RevisionContext
from proxy.features.jobs.core import uploads
from proxy.features.jobs.core.again import AgainBody, keep_words
from proxy.features.jobs.core.fields import StepFields, chapter_number_at, step_terms
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.fingerprints import usable_fingerprints
from proxy.features.jobs.core.kind import JobUpload, SpokenKind
from proxy.features.jobs.core.making import MadeJob, NewJob, add_job, make_once
from proxy.features.jobs.core.paces import Paces
from proxy.features.jobs.core.previews import JobPreview, LeftOut, PreviewCast, PreviewChapter
from proxy.features.jobs.core.records import Job
from proxy.features.jobs.core.taking import find_usable
from proxy.features.jobs.texts.pieces import speaker_tags
from proxy.file_store.once import digest_of_fields
from proxy.ledger import Payer
from proxy.speech.call import SpeechCall
from proxy.speech.part_check import NO_CHECK
from proxy.speech.speaking import Speaking
from proxy.speech.speech_request import Defaults, SpeechRequest, parse_speech


class JobDraft(NamedTuple):
    """A job before it is made. `data` is stored as its text. `plan` plans a step by its number. `text` is
    searched for names of speakers in brackets that have no voice. The job holds the uploaded files `holds`:
    ids, with the field that names each. Without them, a job that repeats another holds the files of that
    job."""

    fields: StepFields
    format: str
    data: bytes
    pieces: Sequence[tuple[int, int]]
    characters: int
    plan: Callable[[int, Terms], Awaitable[SpeechCall]]
    language: str = ""
    text: str = ""
    tag: str = ""
    holds: Mapping[str, str] = {}
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<JobDraft of {len(self.pieces)} steps>"


class DraftKind(SpokenKind):
    """A kind whose jobs are made of drafts."""

    can_repeat = True
    makes_files = False

    @abstractmethod
    async def read_request(self, background: BackgroundRequest, revision: RevisionContext) -> JobDraft:
        """Read a request, and return the draft of its job. Raises RequestFailed."""

    @abstractmethod
    async def draft_again(
        self, background: BackgroundRequest, job: Job, body: AgainBody, revision: RevisionContext
    ) -> JobDraft:
        """Return the draft of a job that speaks a part of an ended job again. Raises RequestFailed."""

    async def make(
        self, background: BackgroundRequest, revision: RevisionContext, upload: JobUpload | None
    ) -> MadeJob:
        # A repeated request with the same Idempotency-Key is not read again: its files may be gone.
        async def add(id_: str, digest: bytes) -> None:
            await self._add_draft(background, await self.read_request(background, revision), id_, digest)

        return await make_once(self.files, background, add)

    async def preview(self, background: BackgroundRequest, revision: RevisionContext) -> JobPreview:
        return await build_preview(
            self.files, revision, background, await self.read_request(background, revision)
        )

    async def say_again(
        self, background: BackgroundRequest, job: Job, body: AgainBody, revision: RevisionContext
    ) -> MadeJob:
        async def add(id_: str, digest: bytes) -> None:
            draft = await self.draft_again(background, job, body, revision)
            if body.keep_words and body.words:
                await keep_words(revision, job.account, draft.language, body.words)
            holds = draft.holds or await uploads.list_holds(self.store, job.id)
            await self._add_draft(background, draft._replace(tag=job.tag, holds=holds), id_, digest)

        digest = await asyncio.to_thread(digest_of_fields, body, job.id.encode())
        return await make_once(self.files, background, add, digest)

    async def preview_again(
        self, background: BackgroundRequest, job: Job, body: AgainBody, revision: RevisionContext
    ) -> JobPreview:
        draft = await self.draft_again(background, job, body, revision)
        return await build_preview(self.files, revision, background, draft)

    async def _add_draft(
        self, background: BackgroundRequest, draft: JobDraft, id_: str, digest: bytes
    ) -> None:
        new = NewJob(
            id_,
            self.name,
            draft.format,
            replace(draft.fields, request=digest.hex()),
            draft.data,
            draft.pieces,
            draft.characters,
            tag=draft.tag,
            files=draft.holds,
            makes_files=self.makes_files,
        )
        await add_job(self.files, background, new)


def step_request(fields: StepFields, body: bytes, speaking: Speaking) -> SpeechRequest:
    """Return the request of a step, with the words of its job in addition to its lexicon. Raises
    InvalidRequest."""
    request = parse_speech(body, Defaults(), speaking.plans.client_fields)
    if fields.words:
        request = replace(request, lexicon=WordsBeside(fields.words, request.lexicon))
    return request


class _Cost(NamedTuple):
    """The likely cost and the most cost of a step, in millionths of a credit, and its likely `seconds`."""

    number: int
    seconds: float
    likely: int
    most: int


async def build_preview(
    files: JobFiles, revision: RevisionContext, background: BackgroundRequest, draft: JobDraft
) -> JobPreview:
    """Return the preview of a job: each step is planned and priced, but not spoken. Raises RequestFailed."""
    caller = background.caller
    costs = [cost async for cost in _costs(files, revision, background, draft)]
    payer = Payer(account=caller.account, key=caller.key, anchor=caller.anchor, terms=background.terms)
    # The amount is 0, so that a preview is shown even if the account cannot pay for the job.
    position = await revision.context.ledger.check_affordable(payer.of_job(), 0)
    return await asyncio.to_thread(_sum_up, draft, costs, position.credits.available)


def _sum_up(draft: JobDraft, costs: Sequence[_Cost], available: int | None) -> JobPreview:
    fields, of_chapters = draft.fields, defaultdict[int | None, list[_Cost]](list)
    for cost in costs:
        of_chapters[chapter_number_at(fields.chapters, draft.pieces[cost.number - 1][0])].append(cost)
    known = {*map(name_key, (*fields.cast, *EMOTIONS))}
    unknown = [name for name in speaker_tags(draft.text) if name_key(name) not in known]
    ignored = (f"{each}: not all of it is followed" for each in fields.ignored)
    return JobPreview(
        chapters=[
            PreviewChapter(
                number=number,
                title=chapter.title,
                characters=chapter.end - chapter.start,
                seconds=round(sum(each.seconds for each in of_chapters[number]), 3),
                credits=credits.to_credits(sum(each.likely for each in of_chapters[number])),
            )
            for number, chapter in enumerate(fields.chapters, 1)
            if chapter.first  # 0: it was not chosen
        ],
        left_out=draft.left_out,
        cast=PreviewCast(names=fields.cast, without_voice=unknown),
        warnings=(*draft.warnings, *ignored),
        characters=draft.characters,
        steps=len(costs),
        seconds=round(sum(each.seconds for each in costs), 3),
        credits=credits.to_credits(sum(each.likely for each in costs)),
        most_credits=credits.to_credits(sum(each.most for each in costs)),
        available=None if available is None else credits.to_credits(available),
    )


async def _costs(
    files: JobFiles, revision: RevisionContext, background: BackgroundRequest, draft: JobDraft
) -> AsyncIterator[_Cost]:
    """Yield the costs of the steps that are spoken. Steps that take over a clip cost nothing, and are left
    out."""
    assert revision.speaking is not None, "a worker speaks"
    terms = step_terms(background.terms, is_checked=revision.context.find_shared_or(NO_CHECK).checks_jobs)
    paces = Paces(files.store)
    for number in range(1, len(draft.pieces) + 1):
        call = await draft.plan(number, terms)
        if source := draft.fields.source_of(number):
            await revision.speaking.pipeline.prepare_texts(call)
            account = background.caller.account
            usable = await usable_fingerprints(files.vault, account, call)
            if await find_usable(files.store, source, account, usable):
                continue
        most = (await revision.speaking.pipeline.estimate(call)).amount
        seconds, likely = await _likely_cost(paces, call, terms)
        yield _Cost(number, seconds, min(likely, most), most)
        await asyncio.sleep(0)  # short steps may be planned without any other turn of the loop


async def _likely_cost(paces: Paces, call: SpeechCall, terms: Terms) -> tuple[float, int]:
    """Return the likely seconds and price of a call, whose texts are prepared."""
    seconds, charges = 0.0, []
    for run, candidate in zip(call.totals.parts, call.totals.speaking_candidates, strict=True):
        text = run.text_for(candidate)
        if text.is_silent:
            continue
        pace = await paces.find_pace(candidate.model.name, run.part.voice.id, run.part.language)
        most_s = text.estimated_s + run.part.pause_s
        likely_s = estimate.expected_s(most_s, text.spoken_characters, pace, call.request.speed)
        charges.append(run.charge_of(candidate, text, likely_s, terms))
        seconds += likely_s
    return seconds, price.most_charge(charges) if charges else 0
