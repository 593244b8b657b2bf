"""Drafts the job of a text: its pieces, its chapters, and the call of each step. Nothing is spoken."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from policies import text_tags
from policies.plans import Terms
from proxy.access.callers import Caller
from proxy.api.speech_forms import BackgroundRequest
from proxy.feature import RevisionContext
from proxy.features.jobs.core.fields import StepFields, chapter_number_of, step_terms
from proxy.features.jobs.core.kind import PlannedStep
from proxy.features.jobs.kinds.speech.request import JobFields, step_body, step_text
from proxy.features.jobs.section import SECTION
from proxy.features.jobs.texts.chapters import chapter_field, cut_text
from proxy.features.jobs.texts.drafts import step_request
from proxy.features.jobs.texts.pieces import MOST_CHARACTERS
from proxy.speech.call import SpeechCall
from proxy.speech.speaking import Speaking
from proxy.speech.split_text import EMOTION, inexpressible

PlanPiece = Callable[[str], Awaitable[SpeechCall]]
"""Plans a piece of a text like a step. Raises RequestFailed."""


class TextPiece(NamedTuple):
    """The piece of a text that the step `number` speaks: from the character `first` up to `last`."""

    number: int
    first: int
    last: int


async def draft_fields(
    revision: RevisionContext, id_: str, caller: Caller, body: JobFields
) -> tuple[StepFields, Sequence[tuple[int, int]]]:
    """Plan the beginning of a text like a step, and cut the text. Return the fields of the job, and the start
    and the end of each piece. Raises RequestFailed."""
    assert revision.speaking is not None, "a worker speaks"
    start = body.spoken_chapters[0].start if body.chapters else 0
    first_letter = start + len(body.text[start:]) - len(body.text[start:].lstrip())
    most = SECTION.of(revision.config).step_characters
    plan_piece = partial(_plan_piece, revision.speaking, id_, caller, body)
    call = await plan_piece(body.text[first_letter : first_letter + MOST_CHARACTERS])
    names = call.plan.cast
    borders = [place for place, _ in body.layout.gaps]
    pieces, chapters = await asyncio.to_thread(
        cut_text, body.text, body.chapters, call.plan.language, names, most, body.chosen, borders
    )
    fields = StepFields(
        sent=body.sent,
        cast=names,
        title=body.title,
        model=call.request.model,
        voice=call.plan.voice.id,
        chapters=chapters,
        files=body.files,
        kbit_s=body.kbit_s,
        only=body.only,
        cover=body.cover,
        language=call.plan.language,
        pauses=tuple(body.layout.pauses(body.text, pieces)),
        own=body.layout.own,
    )
    ignored = {*call.ignored_fields(), *await _dropped_tags(fields, body.text, pieces, plan_piece)}
    return replace(fields, ignored=tuple(sorted(ignored))), pieces


async def plan_step(
    speaking: Speaking,
    caller: Caller,
    terms: Terms,
    fields: StepFields,
    text: str,
    place: TextPiece,
    request_id: str,
) -> PlannedStep:
    """Plan a step of a text. Raises RequestFailed."""
    # The speaker and the emotion begin anew with each chapter.
    begin = fields.chapter_start_of(place.number)
    chapter, first, last = text[begin:], place.first - begin, place.last - begin
    for has_emotion in (True, False):
        # It runs in a thread, because it searches the whole text.
        piece, tag_characters = await asyncio.to_thread(
            partial(step_text, chapter, fields.cast, first, last, has_emotion=has_emotion)
        )
        request = step_request(fields, step_body(fields, piece), speaking)
        call = await speaking.prepare_call(request_id, caller, request, terms)
        # If no voice can express the emotion, its tag would be spoken as text. This shows in the first part,
        # which then begins before the end of the tags. The step is planned again without the emotion. The
        # last character of the tags is a blank, at which a part may begin.
        if call.plan.parts[0].start >= tag_characters - 1:
            break
    return PlannedStep(call, tag_characters)


def step_planner(
    revision: RevisionContext,
    background: BackgroundRequest,
    fields: StepFields,
    text: str,
    pieces: Sequence[tuple[int, int]],
) -> Callable[[int, Terms], Awaitable[SpeechCall]]:
    """Return the function that plans a step by its number, for its price."""
    speaking = revision.speaking
    assert speaking is not None, "a worker speaks"

    async def plan(number: int, terms: Terms) -> SpeechCall:
        place = TextPiece(number, *pieces[number - 1])
        planned = await plan_step(speaking, background.caller, terms, fields, text, place, background.id)
        return planned.call

    return plan


async def _plan_piece(speaking: Speaking, id_: str, caller: Caller, body: JobFields, text: str) -> SpeechCall:
    terms = step_terms(speaking.admission.terms(caller))
    fields = StepFields(sent=body.sent)
    request = step_request(fields, step_body(fields, text), speaking)
    if request.emotion_tags == "refuse":
        # `_dropped_tags` refuses, and names the place in the whole text.
        request = replace(request, emotion_tags="drop")
    return await speaking.prepare_call(id_, caller, request, terms)


async def _dropped_tags(
    fields: StepFields, text: str, pieces: Sequence[tuple[int, int]], plan_piece: PlanPiece
) -> Sequence[str]:
    """Return [EMOTION] if some tags of the text cannot be expressed, and are dropped. Raises InvalidRequest
    if the job refuses this."""
    mode, seen = msgspec.json.decode(fields.sent.get("emotion_tags", b"null")), set[tuple[str, str]]()
    for number, (start, end) in enumerate(pieces, 1):
        if mode == "text" or text_tags.first_emotion(text[start:end]) is None:
            continue
        begin = fields.chapter_start_of(number)
        first, last = start - begin, end - begin
        work = partial(step_text, text[begin:], fields.cast, first, last, has_emotion=False)
        piece, tag_characters = await asyncio.to_thread(work)
        turns = text_tags.find_turns(piece, fields.cast)
        tags = {(turn.name, tag.value) for turn in turns for tag in turn.tags}
        if tags <= seen:
            continue  # tags that were checked before have the same result
        for part in (await plan_piece(piece)).plan.parts:
            tag = text_tags.first_emotion(piece, part.start, part.end)
            if tag is None or EMOTION not in part.candidates[0].ignores:
                continue
            if mode != "refuse":
                return [EMOTION]
            chapter = chapter_number_of(fields.chapters, number)
            param = "input" if chapter is None else chapter_field(chapter - 1, "input")
            raise inexpressible(tag, first + tag.start - tag_characters, part.candidates[0], param)
        seen |= tags
    return []
