"""The plan of a request: its parts, their candidates in order, and the price and length expected."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import msgspec

from policies import estimate, language, routing
from policies.language import Detect, LanguageChoice, Source
from policies.lexicon import EMPTY, Lexicon
from policies.plans import Terms
from policies.routing import (
    Candidate,
    Decision,
    FrontEndNames,
    PostSpeaker,
    Route,
    RoutingQuery,
    Rules,
    Voice,
)
from proxy.catalogue.catalogue import Catalogue
from proxy.catalogue.library import NOTHING, AccountLibrary
from proxy.catalogue.recording_speakers import advice_for
from proxy.errors import InvalidRequest, NotAllowed, UpstreamFailed
from proxy.speech.sound_filter import Treat, Treatment, untreated
from proxy.speech.speech_request import SpeechRequest
from proxy.speech.split_text import Span, Spans, TextSplitter, candidates_of
from speech_engine.values import find_samples

OWN_VOICE = "voice_"
OWN_CLIP = "clip_"
"""The beginnings of the ids of saved voices and of their clips, which storage/rows.py makes."""

_NO_LANGUAGE = LanguageChoice("und", "default")
"""Of a recording: which language is spoken in it changes nothing."""
_LONG_TEXT_CHARACTERS = 1000
_MOST_HEADER_CHARACTERS = 1000
_MOST_DECISIONS = 2000


class Part(msgspec.Struct, frozen=True):
    """A part of the text, from `start` to `end`, that one engine speaks with one voice in one language.

    `candidates` are tried in order. `characters` are the charged ones: a name of a cast before the part is
    charged, and is not spoken. `source` tells how the language is known, `route` which route matched.
    `pause_s` is the silence between this part and the next one. `emotion` is that in which it is spoken, by
    the model itself or by recordings.
    """

    voice: Voice
    language: str
    candidates: tuple[Candidate, ...]
    start: int
    end: int
    estimated_s: float
    characters: int
    source: Source = "request"
    route: str | None = None
    lexicon: Lexicon = EMPTY
    pause_s: float = 0.0
    emotion: str | None = None

    @property
    def post(self) -> PostSpeaker | None:
        """The engine that repeats the speech of its candidates. All of them have the same."""
        return self.candidates[0].post

    @property
    def description(self) -> str:
        """The part for an operator: `th (script), route th: xtts/thai, elevenlabs/eleven_v3`, and who repeats
        that, as in `post rvc/standard`."""
        route = f"route {self.route}" if self.route else "no route"
        names = ", ".join(candidate.model.name for candidate in self.candidates)
        post = f", post {self.post.model.name}" if self.post is not None else ""
        return f"{self.language} ({self.source}), {route}: {names}{post}"


class SpeechPlan(msgspec.Struct, frozen=True):
    """The parts that will be spoken, and the terms.

    Most plans have one part. The parts are in the order of the text, and their characters add up to it.
    `voice` and `language` are those that the answer names. `voices` has the ids of all that speak and of the
    requested one: a cast goes with its members, and a voice with the clips that it speaks with. `own_voices`
    are those of them that an account saved, and may erase. `treatment` is what is done to the sound, None if
    nothing is.
    """

    voice: Voice
    language: str
    parts: tuple[Part, ...]
    estimated_s: float
    terms: Terms
    voices: frozenset[str]
    own_voices: frozenset[str]
    treatment: Treatment | None = None

    def treatment_of(self, speaker: str) -> Treatment | None:
        """Return what the answer gets if this is its speaker, or if these are, joined by commas."""
        treatment = self.treatment
        return None if treatment is None or self.spares(speaker) else treatment

    def spares(self, speaker: str) -> bool:
        return self.treatment is not None and speaker in self.treatment.spared

    @property
    def description(self) -> str:
        """The description of each part for a header, short enough for every proxy."""
        return "; ".join(part.description for part in self.parts)[:_MOST_HEADER_CHARACTERS]


class _KnownDecision(NamedTuple):
    """A decision, and what it was made of besides its names."""

    terms: Terms | None
    revision: int
    decision: Decision

    def is_for(self, voice: Voice, terms: Terms | None, revision: int) -> bool:
        return self.decision.voice is voice and self.terms is terms and self.revision == revision


def no_proof() -> None:
    """Refuse a request for a proof of where speech comes from: this server makes none."""
    raise InvalidRequest(
        "'provenance' cannot be c2pa here: this server signs no manifests.", param="provenance"
    )


class Planner:
    """Makes plans. `detect` and `default_language` are for requests that name no language.

    `pause_ms` is the pause between two parts. It is as much shorter as the speech is faster.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        front_ends: FrontEndNames = FrontEndNames(),  # noqa: B008 - frozen
        detect: Detect | None = None,
        default_language: str = language.DEFAULT,
        pause_ms: int = 0,
        treat: Treat = untreated,
        check_provenance: Callable[[], None] = no_proof,
        *,
        robot_fallback: bool = True,
    ) -> None:
        self._catalogue = catalogue
        self._rules = Rules(catalogue.licences, front_ends, robot_fallback)
        self._splitter = TextSplitter(catalogue, detect, default_language)
        self._pause_s = pause_ms / 1000
        self._treat = treat
        self._check_provenance = check_provenance
        # The choice of the speaker does not depend on the text, and most requests ask for the same few
        # voices. A plain dict, because threads plan as well.
        self._decisions: dict[object, _KnownDecision] = {}

    def plan(self, request: SpeechRequest, terms: Terms, own: AccountLibrary = NOTHING) -> SpeechPlan:
        """Plan a request. `own` are the account's own voices and lexicons.

        When no candidate is left, it raises InvalidRequest or NotFound with the field that excluded the last
        one. It raises NotAllowed when the plan or a licence did, and UpstreamFailed when an engine has never
        been up, so that its voices are not known.
        """
        check_length(request, terms)
        if request.provenance is not None:
            self._check_provenance()
        voice, spans = self._spans(request, terms, own)
        parts = [self.part(request, terms, span, own) for span in spans]
        if len(parts) > 1 and self._pause_s:
            parts = self._with_pauses(parts, spans, request.speed)
        return self._build_plan(voice, request, terms, parts, own)

    def _with_pauses(self, parts: Sequence[Part], spans: Sequence[Span], speed: float) -> list[Part]:
        """Put a pause before each part but the first, unless it goes on in another emotion: speakers do not
        stop for that."""
        pause_s = self._pause_s / speed
        heard = [(span.turn, part.voice.id, part.language) for span, part in zip(spans, parts, strict=True)]
        goes_on = [this == following for this, following in pairwise(heard)]
        return [
            part if is_same else msgspec.structs.replace(part, pause_s=pause_s)
            for part, is_same in zip(parts, [*goes_on, True], strict=True)
        ]

    def _build_plan(
        self,
        voice: Voice,
        request: SpeechRequest,
        terms: Terms,
        plain_parts: Sequence[Part],
        own: AccountLibrary,
    ) -> SpeechPlan:
        # Merged once a language, since a cast may have many parts.
        lexicons: dict[str, Lexicon] = {}
        for part in plain_parts:
            if part.language not in lexicons:
                lexicons[part.language] = own.lexicon(request.lexicon, part.language)
        parts = [_with_lexicon(part, lexicons[part.language]) for part in plain_parts]
        voices = {voice.id, *(part.voice.id for part in parts)}
        voices.update(member.id for part in parts for member in part.voice.members)
        voices.update(clip for part in parts for clip in _clips_of(part))
        voices.update(part.post.whose.id for part in parts if part.post is not None)
        models = [model for part in parts for candidate in part.candidates for model in candidate.models]
        return SpeechPlan(
            voice=voice,
            language=_main_language(parts),
            parts=tuple(parts),
            estimated_s=sum(part.estimated_s + part.pause_s for part in parts),
            terms=terms,
            voices=frozenset(voices),
            own_voices=frozenset(id_ for id_ in voices if id_.startswith((OWN_VOICE, OWN_CLIP))),
            treatment=self._treat(models, terms, has_parts=len(parts) > 1),
        )

    async def plan_in_thread(self, request: SpeechRequest, terms: Terms, own: AccountLibrary) -> SpeechPlan:
        """Plan a request. What takes milliseconds is done in a thread: a long text, or lexicons to merge."""
        is_long = len(request.text) > _LONG_TEXT_CHARACTERS
        has_parts = request.by_sentence or "[" in request.text  # or tags
        is_merged = isinstance(request.lexicon, Mapping) or (request.by_sentence and own.has_lexicons)
        if is_merged or (is_long and has_parts):
            return await asyncio.to_thread(self.plan, request, terms, own)
        return self.plan(request, terms, own)

    def explain(
        self, request: SpeechRequest, terms: Terms | None, own: AccountLibrary = NOTHING
    ) -> list[tuple[Span, Decision]]:
        """Explain how `plan` would decide. The errors of parts are in the decisions.

        Without terms, no plan limits the decision.
        """
        spans = self._spans(request, terms, own).spans
        return [(span, self.decide(request, terms, span, own)) for span in spans]

    def remarks(self, decision: Decision) -> list[str]:
        """List what is missing of the voice and of this language's routes: nothing else tells why."""
        remarks = [
            f"the voice {decision.voice.id} is not offered: {why}"
            for why in self._catalogue.missing_bindings(decision.voice)
        ]
        for route in self._catalogue.routes.of(decision.query.language):
            missing = "; ".join(self._catalogue.missing_candidates(route))
            if missing:
                fate = "goes on without some" if route == decision.route else "is passed over"
                remarks.append(f"the route {route.language} {fate}: {missing}")
            if route == decision.route:
                return [*remarks, *self._unprepared(route)]
        return remarks

    def _unprepared(self, route: Route) -> list[str]:
        if route.front_end is None or route.front_end in self._rules.front_ends.installed:
            return []
        return [f"the front_end {route.front_end} is not there, so plain prepares the text"]

    def _spans(self, request: SpeechRequest, terms: Terms | None, own: AccountLibrary) -> Spans:
        return self._splitter.split(request, own, lambda asked, span: self.decide(asked, terms, span, own))

    def part(self, request: SpeechRequest, terms: Terms, span: Span, own: AccountLibrary = NOTHING) -> Part:
        """Plan one part of a request. It raises what `plan` raises."""
        decision = self.decide(request, terms, span, own)
        query = decision.query
        if terms.is_for_job:
            span = span._replace(plain=())  # without a listener, it waits for candidates that can express it
        if (error := decision.error) is not None:
            raise self.failure(error, request.model, query, advice_for(decision, self._catalogue, terms))
        source, text = request.source, request.text[span.start : span.end]
        return Part(
            voice=span.voice,
            language=query.language,
            candidates=candidates_of(request, span, decision),
            start=span.start,
            end=span.end,
            estimated_s=estimate.seconds(text, request.speed) if source is None else source.seconds,
            characters=span.characters,
            source=query.source,
            route=None if decision.route is None else decision.route.language,
            emotion=span.emotion,
        )

    def choose(self, voice: Voice, request: SpeechRequest) -> LanguageChoice:
        """Choose the language of a whole text that this voice speaks."""
        return self._splitter.choose(voice, request.language, "request", request.text)

    def decide(
        self, request: SpeechRequest, terms: Terms | None, span: Span, own: AccountLibrary = NOTHING
    ) -> Decision:
        """Decide who speaks a part. The error is in the decision when no candidate is left.

        If no model speaks the detected language, one may speak another likely one. Raises NotFound
        when the model is unknown, and UpstreamFailed.
        """
        text = request.text[span.start : span.end]
        if request.source is not None:
            return self._decide_in(_NO_LANGUAGE, request, terms, span, own)
        chosen = self._splitter.choose(span.voice, span.language, span.source, text)
        decision = self._decide_in(chosen, request, terms, span, own)
        is_final = decision.error is None or decision.lacks_post
        if is_final or self._catalogue.is_coming(request.model, chosen.tag):
            return decision
        for other in self._splitter.alternatives(chosen, span, request.text):
            decision = self._decide_in(other, request, terms, span, own)
            if decision.error is None:
                break
        return decision

    def _decide_in(
        self,
        chosen: LanguageChoice,
        request: SpeechRequest,
        terms: Terms | None,
        span: Span,
        own: AccountLibrary,
    ) -> Decision:
        source = request.source
        receivers = None if source is None else source.receivers
        style = (request.pitch, span.emotion, request.by_sentence, source is None, receivers)
        names = (request.model, span.voice.id, chosen, *style, id(terms))
        revision = self._catalogue.revision
        known = self._decisions.get(names)
        if known is not None and known.is_for(span.voice, terms, revision):
            return known.decision
        query = RoutingQuery(
            language=chosen.tag,
            source=chosen.source,
            pitch=request.pitch,
            emotion=span.emotion,
            by_sentence=request.by_sentence,
            converts=source is not None,
            receivers=receivers,
        )
        offer = self._catalogue.offer(request.model, chosen.tag, own.operators)
        decided = routing.decide(offer, span.voice, query, terms, self._rules)
        decision = self._catalogue.with_aliases(decided, request.model, terms)
        if span.voice.account is None and not span.voice.members and not offer.steps:
            # What people own is theirs to delete: nothing here outlives a request with it. And the voice of a
            # post-step may be one that the operator saved.
            if len(self._decisions) >= _MOST_DECISIONS:
                self._decisions.clear()
            self._decisions[names] = _KnownDecision(terms, revision, decision)
        return decision

    def failure(
        self, error: routing.NoCandidate, model: str, query: RoutingQuery, advice: str = ""
    ) -> InvalidRequest | NotAllowed | UpstreamFailed:
        """Make the error, with `advice` at its end. It is no 400 if an engine that starts may have what is
        missing, or if the voice is not ready yet."""
        if error.retry_after_s is not None:
            return UpstreamFailed(
                error.message, param=error.field, code=error.code, retry_after_s=error.retry_after_s
            )
        if not error.is_forbidden and self._catalogue.is_coming(model, query.language):
            return UpstreamFailed("The engine is not available right now.", retry_after_s=2.0)
        failure = NotAllowed if error.is_forbidden else InvalidRequest
        return failure(f"{error.message} {advice}".rstrip(), param=error.field, code=error.code)


def _clips_of(part: Part) -> list[str]:
    """List the clips with which the candidates of a part, and the engine that repeats them, may speak."""
    post = part.post
    voices = (part.voice, *part.voice.members, *(() if post is None else (post.whose,)))
    clips = [clip for voice in voices for clip in voice.clips]
    if not clips:
        return []
    spoken = {sample.digest for candidate in part.candidates for sample in find_samples(candidate.voice)}
    if post is not None:
        spoken |= {sample.digest for sample in find_samples(post.voice)}
    return [id_ for id_, digest in clips if digest in spoken]


def _main_language(parts: Sequence[Part]) -> str:
    if len(parts) == 1:
        return parts[0].language
    spoken: Counter[str] = Counter()
    for part in parts:
        spoken[part.language] += part.characters
    return spoken.most_common(1)[0][0]


def _with_lexicon(part: Part, words: Lexicon) -> Part:
    return part if words is EMPTY else msgspec.structs.replace(part, lexicon=words)


def check_length(request: SpeechRequest, terms: Terms) -> None:
    """Raise NotAllowed for a text that is longer than the terms allow."""
    if terms.max_characters is None or len(request.text) <= terms.max_characters:
        return
    is_key = terms.key.max_characters is not None and terms.key.max_characters == terms.max_characters
    whose = "This key" if is_key else f"Your plan '{terms.plan}'"
    raise NotAllowed(
        f"{whose} takes texts of up to {terms.max_characters} characters; this one has {len(request.text)}.",
        param="input",
        code="text_too_long",
    )
