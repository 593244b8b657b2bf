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
from proxy.features.jobs.core.fields import StepFields, chapter_number_at, step_terms
from proxy.features.jobs.core.kind import PlannedStep
from proxy.features.jobs.kinds.speech.request import JobFields, step_body, step_text
from proxy.features.jobs.section import SECTION
from proxy.features.jobs.texts.chapters import chapter_field, cut_text, find_sayings, saying_of
from proxy.features.jobs.texts.drafts import step_request
from proxy.features.jobs.texts.pieces import MOST_CHARACTERS, Saying
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
    skips_code = call.request.markdown != "off" and call.request.code == "skip"
    cut = partial(cut_text, body.text, body.chapters, call.plan.language, names, most, body.chosen, borders)
    pieces, chapters = await asyncio.to_thread(cut, skips_code=skips_code)
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
        sayings=await asyncio.to_thread(find_sayings, body.text, chapters, names, pieces),
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
    begin, piece = _chapter_start(fields, place.first), (place.first, place.last)
    sayings = fields.sayings
    if sayings is None:
        # It runs in a thread, because it searches the whole text.
        sayings = await asyncio.to_thread(find_sayings, text, fields.chapters, fields.cast, [piece])
    saying = saying_of(sayings, fields.cast, place.number)
    for said in (saying, Saying(saying.name)):
        spoken, tag_characters = step_text(text, fields.cast, begin, piece, said)
        request = step_request(fields, step_body(fields, spoken), speaking)
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
    mode = msgspec.json.decode(fields.sent.get("emotion_tags", b"null"))
    tagged = [] if mode == "text" else await asyncio.to_thread(_tagged_pieces, fields, text, pieces)
    for start, piece, tag_characters in tagged:
        for part in (await plan_piece(piece)).plan.parts:
            tag = text_tags.first_emotion(piece, part.start, part.end)
            if tag is None or EMOTION not in part.candidates[0].ignores:
                continue
            if mode != "refuse":
                return [EMOTION]
            chapter = chapter_number_at(fields.chapters, start)
            param = "input" if chapter is None else chapter_field(chapter - 1, "input")
            place = start - _chapter_start(fields, start) + tag.start - tag_characters
            raise inexpressible(tag, place, part.candidates[0], param)
    return []


def _tagged_pieces(
    fields: StepFields, text: str, pieces: Sequence[tuple[int, int]]
) -> list[tuple[int, str, int]]:
    """Return the pieces in which a speaker has a tag of an emotion for the first time: the start of each in
    the text, its text with the speaker's tag, and the length of that tag."""
    assert fields.sayings is not None, "the job is new"
    found, seen = list[tuple[int, str, int]](), set[tuple[str, str]]()
    for number, each in enumerate(pieces, 1):
        if text_tags.first_emotion(text[slice(*each)]) is None:
            continue
        name = saying_of(fields.sayings, fields.cast, number).name
        begin = _chapter_start(fields, each[0])
        piece, tag_characters = step_text(text, fields.cast, begin, each, Saying(name))
        turns = text_tags.find_turns(piece, fields.cast)
        # Tags that were checked before have the same result.
        if new := {(turn.name, tag.value) for turn in turns for tag in turn.tags} - seen:
            seen |= new
            found.append((each[0], piece, tag_characters))
    return found


def _chapter_start(fields: StepFields, place: int) -> int:
    chapter = chapter_number_at(fields.chapters, place)
    return 0 if chapter is None else fields.chapters[chapter - 1].start
