"""Plans the pieces of an utterance: a later one goes on with the voice of the first."""

from __future__ import annotations

from msgspec.structs import replace

from policies.lexicon import MOST_INLINE_WORDS, Words
from policies.plans import Terms
from policies.routing import Candidate
from proxy.access.callers import Caller, Callers
from proxy.engines.engine_list import Engines
from proxy.errors import InvalidRequest
from proxy.features.sockets.utterances.cutter import MOST_OPEN, MOST_PIECE, Cut, SsmlCut
from proxy.features.sockets.utterances.joined_filter import JoinedFilter
from proxy.features.sockets.utterances.values import NO_CAST
from proxy.speech.call import SpeechCall
from proxy.speech.pipeline import Pipeline
from proxy.speech.speaking import Speaking
from proxy.speech.speech_body import MAX_INPUT
from proxy.speech.speech_request import SpeechRequest, checked_words
from proxy.text_rules.ssml_body import lexicon_with, with_ssml


class PiecePlanner:
    """Plans calls for one utterance, under its terms. Its key and its account are checked for each piece."""

    def __init__(
        self,
        speaking: Speaking,
        callers: Callers,
        engines: Engines,
        caller: Caller,
        terms: Terms,
        request: SpeechRequest,
    ) -> None:
        self.terms = terms
        self._speaking = speaking
        self._callers = callers
        self._engines = engines
        self._caller = caller
        self._request = request
        # The candidate that has spoken the first piece.
        self._leader: Candidate | None = None
        self._filter: JoinedFilter | None = None

    @property
    def pipeline(self) -> Pipeline:
        return self._speaking.pipeline

    async def plan_piece(self, id_: str, cut: Cut, plays_at: float | None) -> SpeechCall:
        """Plan a piece. It is heard at the moment `plays_at` of `time.monotonic`, if it is not the first.
        Raises RequestFailed."""
        caller, request = self._caller, self._request
        is_ssml = isinstance(cut, SsmlCut)
        request = with_ssml(request, cut.text) if is_ssml else replace(request, text=cut.text)
        if plays_at is not None:
            caller = await self._callers.by_id(caller.key)
        call = await self._speaking.prepare_call(id_, caller, request, self.terms)
        if call.plan.cast:
            raise InvalidRequest(NO_CAST, param="voice")
        if len(request.text) > MAX_INPUT:
            raise InvalidRequest(
                f"The text is too long for a price by job: one piece has up to {MAX_INPUT} characters.",
                param="text",
                code="string_above_max_length",
            )
        call.totals.parts[0].plays_at = plays_at
        leader = self._leader
        if leader is not None:
            for run in call.totals.parts:
                same_speaker = [each for each in run.candidates if each.speaker == leader.speaker]
                same_speaker.sort(key=lambda each: each.voice != leader.voice)
                others = [each for each in run.candidates if each.speaker != leader.speaker]
                run.part = replace(run.part, candidates=(*same_speaker, *others))
        call = replace(call, is_paced=True, is_stream=False, tag=request.tag)
        if call.plan.treatment is None or call.plan.treatment.filter is None:
            return call
        self._filter = self._filter or JoinedFilter(call.plan.treatment.filter)
        return self._filter.join(call)

    def add_sounds(self, sounds: Words) -> None:
        """Speak words of the pieces that are not planned yet with these sounds. Raises InvalidRequest."""
        entries = checked_words(lexicon_with(self._request.lexicon, sounds), "lexicon", MOST_INLINE_WORDS)
        self._request = replace(self._request, lexicon=entries)

    def follow_piece(self, call: SpeechCall) -> None:
        """Go on with the language, the emotion and, if it is the first, the voice of a piece that speaks."""
        last_part = call.plan.parts[-1]
        if last_part.source in ("detected", "script") and not self._request.by_sentence:
            self._request = replace(self._request, language=call.plan.language)
        self._request = replace(self._request, emotion=last_part.emotion)
        if self._leader is None:
            self._leader = call.totals.parts[0].winner

    def waits_for(self, before: SpeechCall, call: SpeechCall) -> bool:
        """Tell whether the engine of a piece makes one sound at a time, and has the piece before. A mark that
        goes on must have all of that piece, too."""
        winner = before.totals.parts[0].winner
        is_spared = winner is not None and before.plan.spares(winner.speaker)
        if self._filter is not None and self._filter.goes_on and not is_spared:
            return True
        engines = {model.engine for run in before.totals.parts for model in run.models}
        needed = [model.engine for model in call.totals.parts[0].candidates[0].models]
        return any(each in engines and self._engines[each].slots == 1 for each in needed)


def is_by_job(call: SpeechCall) -> bool:
    return "job" in _prices(call)


def most_characters(call: SpeechCall) -> int:
    """Return the most characters of a later piece: an interruption charges all, by character or where a
    provider bills at once."""
    models = [model for part in call.plan.parts for each in part.candidates for model in each.models]
    costs_whole = "character" in _prices(call) or any(model.info.billed_on_submit for model in models)
    return MOST_OPEN if costs_whole else MOST_PIECE


def _prices(call: SpeechCall) -> set[str]:
    """Return what the candidates may cost something for."""
    candidates = [each for part in call.plan.parts for each in part.candidates]
    work_price = call.terms.prices.work_price
    posts = [each.post.model for each in candidates if each.post is not None]
    prices = [work_price("speech", each.model.engine, each.model.info.id) for each in candidates]
    prices += [work_price("conversion", model.engine, model.info.id) for model in posts]
    return {price.per for price in prices if price.micro}
