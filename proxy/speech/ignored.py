"""What the speakers of a call do not follow of its request, by the names that an answer reports."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from policies.routing import Candidate
from proxy.speech.answer import Answer
from proxy.speech.call import PartRun, SpeechCall
from proxy.speech.client_fields import find_ignored


def ignored_in(answer: Answer) -> tuple[str, ...]:
    return ignored_by(answer.call, answer.speech.engine.split(", "))


def ignored_by(call: SpeechCall, models: Collection[str] = ()) -> tuple[str, ...]:
    """Return what those ignore that spoke, or before a part's turn, that are to speak it. A clip of the cache
    knows only the names of its `models`."""
    request = call.request
    speakers = [_speaker(run, models) for run in call.tally.parts if not run.is_passed_over]
    more = [name for each in speakers for name in each.ignores]
    infos = [each.model.info for each in speakers]
    return find_ignored((*request.ignored, *more), request.instructions, request.extra, infos)


def _speaker(run: PartRun, models: Collection[str]) -> Candidate:
    candidates: Sequence[Candidate] = run.candidates
    if run.model is not None:
        return next(each for each in candidates if each.model == run.model)
    return next((each for each in candidates if each.model.name in models), candidates[0])
