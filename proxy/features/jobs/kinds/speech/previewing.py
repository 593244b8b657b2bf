"""The preview of a job of speech: each step is planned and priced as it will be, and not spoken."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from policies import estimate, price
from policies.plans import Terms
from policies.text_tags import EMOTIONS, name_key
from proxy.api.speech_forms import BackgroundRequest
from proxy.config import credits
from proxy.feature import RevisionContext
from proxy.features.jobs.core.fields import StepFields, chapter_of, of_step
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.fingerprints import usable_fingerprints
from proxy.features.jobs.core.paces import Paces
from proxy.features.jobs.core.previews import JobPreview, PreviewCast, PreviewChapter
from proxy.features.jobs.core.taking import find_usable
from proxy.features.jobs.kinds.speech.drafting import TextPiece, plan_step
from proxy.features.jobs.texts.pieces import speaker_tags
from proxy.ledger import Payer
from proxy.speech.call import SpeechCall
from proxy.speech.checked_parts import NO_CHECK


class JobText(NamedTuple):
    """What a job says: its fields, its text, the pieces of its steps, and the language of the first one."""

    fields: StepFields
    text: str
    pieces: Sequence[tuple[int, int]]
    language: str = ""


class _Cost(NamedTuple):
    """The cost of a step, in millionths of a credit: what is likely, and the most."""

    number: int
    seconds: float
    likely: int
    most: int


async def previewed(
    files: JobFiles, at: RevisionContext, background: BackgroundRequest, said: JobText
) -> JobPreview:
    """Return the preview of a job. Raises RequestFailed."""
    caller, fields = background.caller, said.fields
    costs = [cost async for cost in _costs(files, at, background, said)]
    payer = Payer(account=caller.account, key=caller.key, anchor=caller.anchor, terms=background.terms)
    # What an account cannot pay is shown, too.
    position = await at.context.ledger.check_affordable(payer.of_job(), 0)
    available = position.credits.available
    chapters = [
        PreviewChapter(
            number=number,
            title=chapter.title,
            characters=chapter.end - chapter.start,
            seconds=round(sum(each.seconds for each in own), 3),
            credits=credits.number(sum(each.likely for each in own)),
        )
        for number, chapter in enumerate(fields.chapters, 1)
        if chapter.first
        for own in [[each for each in costs if chapter_of(fields.chapters, each.number) == number]]
    ]
    known = {*map(name_key, (*fields.cast, *EMOTIONS))}
    unknown = [name for name in speaker_tags(said.text) if name_key(name) not in known]
    return JobPreview(
        chapters=chapters,
        cast=PreviewCast(names=fields.cast, without_voice=unknown),
        warnings=tuple(f"{each}: not all of it is followed" for each in fields.ignored),
        characters=sum(last - first for first, last in said.pieces),
        steps=len(costs),
        seconds=round(sum(each.seconds for each in costs), 3),
        credits=credits.number(sum(each.likely for each in costs)),
        most_credits=credits.number(sum(each.most for each in costs)),
        available=None if available is None else credits.number(available),
    )


async def _costs(
    files: JobFiles, at: RevisionContext, background: BackgroundRequest, said: JobText
) -> AsyncIterator[_Cost]:
    """Yield the costs of the steps that are spoken."""
    assert at.speaking is not None, "a worker speaks"
    fields, caller, account = said.fields, background.caller, background.caller.account
    terms = of_step(background.terms, is_checked=at.context.find_or(NO_CHECK).checks_jobs)
    paces = Paces(files.store)
    for number, (first, last) in enumerate(said.pieces, 1):
        piece = TextPiece(number, first, last)
        call, *_ = await plan_step(at.speaking, caller, terms, fields, said.text, piece, background.id)
        if fields.again is not None and not fields.again.is_anew(number):
            await at.speaking.pipeline.prepare_texts(call)
            usable = await usable_fingerprints(files.vault, account, call)
            if await find_usable(files.store, fields.again.source, account, usable):
                continue
        most = (await at.speaking.pipeline.estimate(call)).amount
        seconds, likely = await likely_cost(paces, call, terms)
        yield _Cost(number, seconds, min(likely, most), most)


async def likely_cost(paces: Paces, call: SpeechCall, terms: Terms) -> tuple[float, int]:
    """Return the likely seconds and price of a call, whose texts are prepared."""
    seconds, charges = 0.0, []
    for run, candidate in zip(call.totals.parts, call.totals.speaking, strict=True):
        text = run.text_for(candidate)
        if text.is_silent:
            continue
        pace = await paces.find_pace(candidate.model.name, run.part.voice.id, run.part.language)
        most_s = text.estimated_s + run.part.pause_s
        likely_s = estimate.expected_s(most_s, text.spoken_characters, pace, call.request.speed)
        charges.append(run.charge_of(candidate, text, likely_s, terms))
        seconds += likely_s
    return seconds, price.most_together(charges) if charges else 0
