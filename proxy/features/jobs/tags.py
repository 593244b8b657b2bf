"""Tags of emotions in the text of a job, before it is taken: whether its voices can express them."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from policies import text_tags
from proxy.features.jobs.chapters import Chapter, chapter_of, in_chapter
from proxy.features.jobs.pieces import TextPiece
from proxy.features.jobs.request import SentFields, SentJob, step_text
from proxy.speech.call import SpeechCall
from proxy.speech.emotion_tags import EMOTION, inexpressible


async def drops_tags(
    sent: SentJob,
    fields: SentFields,
    pieces: Sequence[TextPiece],
    plan: Callable[[str], Awaitable[SpeechCall]],
) -> bool:
    """Tell whether tags are left out when a job is spoken. Raises InvalidRequest if it refuses that, and what
    `plan` raises for the text of a piece."""
    if sent.emotion_tags == "text" or "[" not in sent.text:
        return False
    numbers = await asyncio.to_thread(_telling, sent.text, fields.chapters, fields.cast, pieces)
    for number in numbers:
        begin = fields.begin_of(number)
        first, last = pieces[number - 1].start - begin, pieces[number - 1].end - begin
        work = partial(step_text, sent.text[begin:], fields.cast, first, last, has_emotion=False)
        piece = await asyncio.to_thread(work)
        call = await plan(piece.text)
        for part in call.plan.parts:
            candidates = part.candidates
            tag = text_tags.first_emotion(piece.text, part.start, part.end)
            if tag is None or EMOTION not in candidates[0].ignores:
                continue
            if sent.emotion_tags == "drop":
                return True
            if all(EMOTION in each.ignores for each in candidates):
                chapter = chapter_of(fields.chapters, number)
                param = "input" if chapter is None else in_chapter(chapter - 1, "input")
                raise inexpressible(tag, first + tag.start - piece.tags, candidates[0], param)
    return False


def _telling(
    text: str, chapters: Sequence[Chapter], cast: Sequence[str], pieces: Sequence[TextPiece]
) -> list[int]:
    """Return the numbers of the pieces where a speaker has an emotion for the first time: later tags of it
    fare alike."""
    starts = [piece.start for piece in pieces]
    numbers: dict[tuple[str, str], int] = {}
    for begin, end in [(each.start, each.end) for each in chapters] or [(0, len(text))]:
        for turn in text_tags.turns(text[begin:end], cast):
            for tag in turn.tags:
                numbers.setdefault((turn.name, tag.value), bisect_right(starts, begin + tag.start))
    return sorted(set(numbers.values()))
