"""A request → its plan: who could speak it, in order, and what is known before anyone has spoken."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import msgspec

from policies import estimate, language, price, routing
from policies.language import Detect, Source
from policies.lexicon import EMPTY, Lexicon
from policies.plans import Terms
from policies.routing import Candidate, Decision, FrontEndNames, Route, RoutingQuery, Rules, Voice
from proxy.catalogue.catalogue import Catalogue
from proxy.catalogue.library import NOTHING, AccountLibrary
from proxy.errors import InvalidRequest, NotAllowed, UpstreamFailed
from proxy.speech.speech_request import SpeechRequest
from proxy.speech.split_text import Span, Spans, TextSplitter

_LONG = 1000
_MOST_TOLD = 1000


class Part(msgspec.Struct, frozen=True):
    """A part of the text, from `start` to `end`, that one engine speaks: with which voice, in which
    language, and who will be tried for it, in order. `characters` are those that it is charged for: the
    name of a cast before it is one of them, and is not spoken. `source` is where the language is known
    from, `route` the one that matched, by its language."""

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

    @property
    def told(self) -> str:
        """For an operator: `th (script), route th: xtts/thai, elevenlabs/eleven_v3`."""
        route = f"route {self.route}" if self.route else "no route"
        names = ", ".join(candidate.model.name for candidate in self.candidates)
        return f"{self.language} ({self.source}), {route}: {names}"


class SpeechPlan(msgspec.Struct, frozen=True):
    """What will be spoken in which parts, under which terms, and the price of their dearest candidates. The
    parts are in the order of the text, and their characters add up to it; mostly there is one. `voice` and
    `language` are what the answer names."""

    voice: Voice
    language: str
    parts: tuple[Part, ...]
    estimated_s: float
    terms: Terms
    amount: int

    @property
    def told(self) -> str:
        """What each part tells, as a header takes it: no more than proxies let through."""
        return "; ".join(part.told for part in self.parts)[:_MOST_TOLD]


class Planner:
    """`detect` and `default_language` are for texts that nobody has named a language for."""

    def __init__(
        self,
        catalogue: Catalogue,
        front_ends: FrontEndNames = FrontEndNames(),  # noqa: B008 - frozen
        detect: Detect | None = None,
        default_language: str = language.DEFAULT,
    ) -> None:
        self._catalogue = catalogue
        self._rules = Rules(catalogue.licences, front_ends)
        self._parts = TextSplitter(catalogue, detect, default_language)

    def __repr__(self) -> str:
        return f"<Planner over {self._catalogue!r}>"

    def plan(self, request: SpeechRequest, terms: Terms, own: AccountLibrary = NOTHING) -> SpeechPlan:
        """Raises InvalidRequest or NotFound, naming the field that left nobody to speak; NotAllowed where it
        was the plan or a licence; UpstreamFailed where an engine has never been up, so that nobody can tell.
        `own` is what the account has itself: voices and lexicons."""
        _check_length(request, terms)
        voice, spans = self._spans(request, terms, own)
        return _planned(voice, request, terms, [self.part(request, terms, span) for span in spans], own)

    async def planned(self, request: SpeechRequest, terms: Terms, own: AccountLibrary) -> SpeechPlan:
        """As `plan`. To tell the sentences of a long text apart takes milliseconds, so that is done in a
        thread."""
        if request.by_sentence and len(request.text) > _LONG:
            return await asyncio.to_thread(self.plan, request, terms, own)
        return self.plan(request, terms, own)

    def explain(
        self, request: SpeechRequest, terms: Terms | None, own: AccountLibrary = NOTHING
    ) -> list[tuple[Span, Decision]]:
        """How `plan` would decide, and why; the errors of its parts are in the decisions. Without terms no
        plan is asked."""
        spans = self._spans(request, terms, own).spans
        return [(span, self.decide(request, terms, span)) for span in spans]

    def remarks(self, decision: Decision) -> list[str]:
        """What of the routes of this language is not there: nothing else tells why they are passed over."""
        remarks = []
        for route in self._catalogue.routes.of(decision.wanted.language):
            missing = "; ".join(self._catalogue.missing(route))
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
        return self._parts.of(request, own, lambda span: self.decide(request, terms, span))

    def part(self, request: SpeechRequest, terms: Terms, span: Span) -> Part:
        """One part of a request, and who would speak it; raises as `plan`."""
        decision = self.decide(request, terms, span)
        wanted = decision.wanted
        if (error := decision.error) is not None:
            raise self.failure(error, request.model, wanted.language)
        return Part(
            voice=span.voice,
            language=wanted.language,
            candidates=decision.candidates,
            start=span.start,
            end=span.end,
            estimated_s=estimate.seconds(request.text[span.start : span.end], request.speed),
            characters=span.characters,
            source=wanted.source,
            route=None if decision.route is None else decision.route.language,
        )

    def decide(self, request: SpeechRequest, terms: Terms | None, span: Span) -> Decision:
        """The same with all that led to it, and with the error where there is nobody; raises NotFound where
        the model is unknown, and UpstreamFailed."""
        chosen = self._parts.choose(span, request.text)
        wanted = RoutingQuery(
            language=chosen.tag, source=chosen.source, pitch=request.pitch, emotion=request.emotion
        )
        offer = self._catalogue.offer(request.model, chosen.tag)
        return routing.decide(offer, span.voice, wanted, terms, self._rules)

    def failure(
        self, error: routing.NoCandidate, model: str, tag: str
    ) -> InvalidRequest | NotAllowed | UpstreamFailed:
        """What a client is told of it. An engine that is coming up may have what is missing: not a 400."""
        if not error.is_forbidden and self._catalogue.is_coming(model, tag):
            return UpstreamFailed("The engine is not available right now.", retry_after_s=2.0)
        failure = NotAllowed if error.is_forbidden else InvalidRequest
        return failure(error.message, param=error.field, code=error.code)


def _planned(
    voice: Voice, request: SpeechRequest, terms: Terms, planned: Sequence[Part], own: AccountLibrary
) -> SpeechPlan:
    parts = [_worded(part, own.lexicon(request.lexicon, part.language)) for part in planned]
    return SpeechPlan(
        voice=voice,
        language=_spoken_most(parts),
        parts=tuple(parts),
        estimated_s=sum(part.estimated_s for part in parts),
        terms=terms,
        amount=sum(_dearest(part, terms) for part in parts),
    )


def _spoken_most(parts: Sequence[Part]) -> str:
    if len(parts) == 1:
        return parts[0].language
    spoken: Counter[str] = Counter()
    for part in parts:
        spoken[part.language] += part.characters
    return spoken.most_common(1)[0][0]


def _worded(part: Part, words: Lexicon) -> Part:
    return part if words is EMPTY else msgspec.structs.replace(part, lexicon=words)


def _dearest(part: Part, terms: Terms) -> int:
    """What the part costs with that of its candidates which takes most."""
    return max(
        price.ahead(
            terms.prices.of_model(candidate.model.engine, candidate.model.info.id),
            estimated_s=part.estimated_s,
            characters=part.characters,
        )
        for candidate in part.candidates
    )


def _check_length(request: SpeechRequest, terms: Terms) -> None:
    if terms.max_characters is None or len(request.text) <= terms.max_characters:
        return
    is_key = terms.key.max_characters is not None and terms.key.max_characters == terms.max_characters
    whose = "This key" if is_key else f"Your plan '{terms.plan}'"
    raise NotAllowed(
        f"{whose} takes texts of up to {terms.max_characters} characters; this one has {len(request.text)}.",
        param="input",
        code="text_too_long",
    )
