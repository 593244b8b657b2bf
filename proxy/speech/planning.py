"""The plan of a request: its parts, their candidates in order, and the price and length expected."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import msgspec
from msgspec.structs import replace

from policies import estimate, language, routing
from policies.language import Detect, LanguageChoice
from policies.lexicon import EMPTY_LEXICON, Lexicon
from policies.plans import Terms
from policies.routing import Decision, FrontEndNames, RoutingQuery, Rules, Voice
from proxy.catalogue.catalogue import Catalogue
from proxy.catalogue.library import EMPTY_LIBRARY, AccountLibrary
from proxy.errors import InvalidRequest, NotAllowed, UpstreamFailed
from proxy.helpers.outside import outside
from proxy.speech.part import Part
from proxy.speech.part_check import CheckKind, PlanCheck
from proxy.speech.sound_filter import Treat, Treatment, untreated
from proxy.speech.speech_body import check_length
from proxy.speech.speech_request import SpeechRequest
from proxy.speech.split_text import Span, TextSplitter, candidates_of, check_pauses
from speech_engine.values import find_samples

OWN_VOICE = "voice_"
OWN_CLIP = "clip_"
"""The prefixes of the ids of saved voices and of their clips, which storage/rows.py makes."""

_NO_LANGUAGE = LanguageChoice("und", "default")
"""The language of a recording, which does not matter for a conversion."""
_LONG_TEXT_CHARACTERS = 1000
_MOST_HEADER_CHARACTERS = 1000
_MOST_DECISIONS = 2000
MOST_PAUSES_S, MOST_JOB_PAUSES_S = 60.0, 600.0
"""The most seconds of all pauses in a text, of a request and of a job."""


class SpeechPlan(msgspec.Struct, frozen=True):
    """The parts to speak, and the terms.

    Most plans have one part. The parts are in the order of the text, and their characters add up to it. The
    answer names `voice_id` and `language`. `voices` has the ids of the requested voice, of the voices
    that speak, of the members of casts, and of the clips of recorded voices. `own_voices` are the ids among
    them that an account saved, and may erase. `cast` has the names of the cast, none if one voice speaks. If
    the plan `is_joined`, a relay joins the parts as PCM: also a single one that is heard, or that has a pause
    behind it.
    `treatment` changes the sound, unless it is None. The parts of a plan with a `check` are heard, unless
    there is an `obstacle`.
    """

    voice: Voice
    voice_id: str
    language: str
    parts: tuple[Part, ...]
    estimated_s: float
    terms: Terms
    voices: frozenset[str]
    own_voices: frozenset[str]
    cast: tuple[str, ...] = ()
    is_joined: bool = False
    treatment: Treatment | None = None
    check: CheckKind | None = None
    obstacle: str = ""

    @property
    def is_checked(self) -> bool:
        return self.check is not None and not self.obstacle

    def is_checked_first(self, part: int) -> bool:
        """Tell whether the sound of a part is checked before it is sent."""
        return self.check is not None and (self.check == "heard" or part > 0) and not self.obstacle

    def treatment_of(self, speaker: str) -> Treatment | None:
        """Return the treatment of an answer. `speaker` names its model, or several, joined by commas."""
        treatment = self.treatment
        return None if treatment is None or self.spares(speaker) else treatment

    def spares(self, speaker: str) -> bool:
        """Tell if the treatment leaves the sound of this speaker unchanged."""
        return self.treatment is not None and speaker in self.treatment.spared

    @property
    def description(self) -> str:
        return "; ".join(part.description for part in self.parts)[:_MOST_HEADER_CHARACTERS]


def wanted_check(request: SpeechRequest, terms: Terms) -> CheckKind | None:
    check = request.check or terms.check
    return None if check == "off" else check


def _no_advice(_decision: Decision, _catalogue: Catalogue, _terms: Terms | None) -> str:
    return ""


def _no_repeater(decision: Decision, *_: object) -> Decision:
    return decision


def refuse_provenance() -> None:
    """Refuse a request for a signed manifest: this server makes none."""
    raise InvalidRequest(
        "'provenance' cannot be c2pa here: this server signs no manifests.", param="provenance"
    )


class Planner:
    """Makes plans. `detect` and `default_language` are for requests that name no language.

    `pause_ms` is the pause between two parts. Faster speech shortens it in proportion.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        front_ends: FrontEndNames = FrontEndNames(),  # noqa: B008 - frozen
        detect: Detect | None = None,
        default_language: str = language.DEFAULT_TAG,
        pause_ms: int = 0,
        treat: Treat = untreated,
        check_provenance: Callable[[], None] = refuse_provenance,
        part_check: PlanCheck = PlanCheck(),  # noqa: B008 - it has no state
        *,
        robot_fallback: bool = True,
    ) -> None:
        self._part_check = part_check
        self._advice_for = outside("proxy.speech_steps.recording_speakers", "advice_for", _no_advice)
        self._repeat_own = outside("proxy.speech_steps.base_voices", "repeat_own", _no_repeater)
        self._catalogue = catalogue
        self._rules = Rules(catalogue.licences, front_ends, robot_fallback)
        self.splitter = TextSplitter(catalogue, detect, default_language)
        self._pause_s = pause_ms / 1000
        self._treat = treat
        self._check_provenance = check_provenance
        # A value has the terms and the catalogue's revision for which its decision is valid. A decision does
        # not depend on the text. This is a plain dict, because threads plan, too.
        self._decisions: dict[object, tuple[Terms | None, int, Decision]] = {}

    async def plan_in_thread(self, request: SpeechRequest, terms: Terms, own: AccountLibrary) -> SpeechPlan:
        """Plan a request. A thread plans long texts and merges lexicons, because both take milliseconds."""
        is_long = len(request.text) > _LONG_TEXT_CHARACTERS
        has_parts = request.by_sentence or "[" in request.text or bool(request.cast)
        is_merged = isinstance(request.lexicon, Mapping) or (request.by_sentence and own.has_lexicons)
        if is_merged or (is_long and has_parts):
            return await asyncio.to_thread(self.plan, request, terms, own)
        return self.plan(request, terms, own)

    def plan(self, request: SpeechRequest, terms: Terms, own: AccountLibrary = EMPTY_LIBRARY) -> SpeechPlan:
        """Plan a request. `own` are the account's own voices and lexicons.

        If no candidate is left, it raises InvalidRequest or NotFound with the field that excluded the last
        candidate, or NotAllowed if the plan or a licence excluded it. It raises UpstreamFailed if an engine
        has never been up, so its voices are unknown.
        """
        check_length(request.text, terms)
        if "[" in request.text and request.emotion_tags != "text":
            check_pauses(request.text, MOST_JOB_PAUSES_S if terms.is_for_job else MOST_PAUSES_S)
        if request.provenance is not None:
            self._check_provenance()
        voice, spans = self._spans(request, terms, own)
        parts: Sequence[Part] = [self.part(request, terms, span, own) for span in spans]
        if len(parts) > 1 and self._pause_s:
            parts = self._with_pauses(parts, spans, request.speed)
        check = wanted_check(request, terms)
        if check is None:
            return self._build_plan(voice, request, terms, parts, own)
        if obstacle := self._obstacle(request, parts):
            return replace(
                self._build_plan(voice, request, terms, parts, own), check=check, obstacle=obstacle
            )
        parts = self._part_check.at_sentences(parts, request.text, request.speed)
        return replace(self._build_plan(voice, request, terms, parts, own, is_checked=True), check=check)

    def _obstacle(self, request: SpeechRequest, parts: Sequence[Part]) -> str:
        """Return why no part of a request can be checked, or "" if one can."""
        if request.source is not None:
            return "no_text"
        found = [self._part_check.obstacle(part.candidates[0], part.language) for part in parts]
        return found[0] if all(found) else ""

    def _spans(
        self, request: SpeechRequest, terms: Terms | None, own: AccountLibrary
    ) -> tuple[Voice, Sequence[Span]]:
        return self.splitter.split(request, own, lambda part, span: self.decide(part, terms, span, own))

    def part(
        self, request: SpeechRequest, terms: Terms, span: Span, own: AccountLibrary = EMPTY_LIBRARY
    ) -> Part:
        """Plan one part. Raises what `plan` raises if no candidate is left."""
        decision = self.decide(request, terms, span, own)
        query = decision.query
        if terms.is_for_job:
            span = span._replace(plain=())  # a job waits for candidates that can express the emotion
        if (error := decision.error) is not None:
            raise self.failure(
                error, request.model, query, self._advice_for(decision, self._catalogue, terms)
            )
        source, text = request.source, request.text[span.start : span.end]
        return Part(
            voice=span.voice,
            language=query.language,
            candidates=candidates_of(request, span, decision),
            start=span.start,
            end=span.end,
            estimated_s=estimate.speech_seconds(text, request.speed) if source is None else source.seconds,
            characters=span.characters,
            source=query.source,
            route=None if decision.route is None else decision.route.language,
            pause_s=span.pause_s,
            requested_pause_s=span.pause_s,
            emotion=span.emotion,
        )

    def decide(
        self, request: SpeechRequest, terms: Terms | None, span: Span, own: AccountLibrary = EMPTY_LIBRARY
    ) -> Decision:
        """Return the decision on a part. If no candidate is left, it has an error.

        If no model speaks the detected language, other likely languages are tried. Raises NotFound if the
        model is unknown, and UpstreamFailed.
        """
        text = request.text[span.start : span.end]
        if request.source is not None:
            return self._decide_in(_NO_LANGUAGE, request, terms, span, own)
        chosen = self.splitter.choose_language(span.voice, span.language, span.source, text)
        decision = self._decide_in(chosen, request, terms, span, own)
        error = decision.error
        # An engine that is away may speak this language.
        is_final = error is None or error.retry_after_s is not None or decision.lacks_post
        if is_final or self._catalogue.starting_engines(request.model, chosen.tag):
            return decision
        for other in self.splitter.other_languages(chosen, span, request.text):
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
        key = (request.model, span.voice.id, chosen, *style, id(terms))
        revision = self._catalogue.live.revision
        if (known := self._decisions.get(key)) is not None:
            known_terms, known_revision, decision = known
            if known_terms is terms and known_revision == revision and decision.voice is span.voice:
                return decision
        query = RoutingQuery(
            language=chosen.tag,
            source=chosen.source,
            pitch=request.pitch,
            emotion=span.emotion,
            by_sentence=request.by_sentence,
            converts=source is not None,
            receivers=receivers,
        )
        offer = self._catalogue.find_offer(request.model, chosen.tag, own.operator_voices)
        decided = routing.decide(offer, span.voice, query, terms, self._rules)
        if is_own := decided.error is not None and span.voice.is_recorded and source is None:
            decided = self._repeat_own(decided, offer, self._catalogue, own, terms, self._rules)
        decision = self._catalogue.with_voice_owners(decided, request.model, terms)
        if span.voice.account is None and not (span.voice.members or offer.steps or is_own):
            # Decisions with saved voices are not stored, because saved voices can be deleted. A post-step
            # may have a saved voice of the operator.
            if len(self._decisions) >= _MOST_DECISIONS:
                self._decisions.clear()
            self._decisions[key] = (terms, revision, decision)
        return decision

    def failure(
        self, error: routing.NoCandidate, model: str, query: RoutingQuery, advice: str = ""
    ) -> InvalidRequest | NotAllowed | UpstreamFailed:
        """Return the error for the client, with `advice` at its end. It is UpstreamFailed if the voice is not
        ready yet, or if a starting engine may provide the missing thing."""
        if error.engine:
            return self._catalogue.not_up_error(error.engine)
        if error.retry_after_s is not None:
            return UpstreamFailed(
                error.message, param=error.field, code=error.code, retry_after_s=error.retry_after_s
            )
        if not error.is_forbidden and (coming := self._catalogue.starting_engines(model, query.language)):
            return self._catalogue.not_up_error(coming[0])
        failure = NotAllowed if error.is_forbidden else InvalidRequest
        return failure(f"{error.message} {advice}".rstrip(), param=error.field, code=error.code)

    def _with_pauses(self, parts: Sequence[Part], spans: Sequence[Span], speed: float) -> list[Part]:
        """Add a pause between two parts, unless only the emotion changes."""
        pause_s = self._pause_s / speed
        spans_spoken = [
            (span.turn, part.voice.id, part.language) for span, part in zip(spans, parts, strict=True)
        ]
        goes_on = [this == following for this, following in pairwise(spans_spoken)]
        return [
            part if is_same else replace(part, pause_s=part.pause_s + pause_s)
            for part, is_same in zip(parts, [*goes_on, True], strict=True)
        ]

    def _build_plan(
        self,
        voice: Voice,
        request: SpeechRequest,
        terms: Terms,
        parts_without_lexicons: Sequence[Part],
        own: AccountLibrary,
        *,
        is_checked: bool = False,
    ) -> SpeechPlan:
        # Each language is merged once, since a cast may have many parts.
        lexicons: dict[str, Lexicon] = {}
        for part in parts_without_lexicons:
            if part.language not in lexicons:
                lexicons[part.language] = own.lexicon(request.lexicon, part.language)
        parts = [
            part if (words := lexicons[part.language]) is EMPTY_LEXICON else replace(part, lexicon=words)
            for part in parts_without_lexicons
        ]
        voices = {voice.id, *(each.id for part in parts for each in part.named_voices)}
        voices.update(clip for part in parts for clip in _clips_of(part))
        candidates = [candidate for part in parts for candidate in part.candidates]
        is_joined = is_checked or len(parts) > 1 or parts[0].pause_s > 0
        if is_joined and outside("proxy.speech_steps.relay", "RelayStep", None) is None:
            message = "This server speaks a text with one voice, language and emotion, without pauses."
            raise InvalidRequest(message, param="input", code="feature_off")
        return SpeechPlan(
            voice=voice,
            voice_id=_speaking_ids(voice, parts) if request.cast else voice.id,
            language=_main_language(parts),
            parts=tuple(parts),
            estimated_s=sum(part.estimated_s + part.pause_s for part in parts),
            terms=terms,
            voices=frozenset(voices),
            own_voices=frozenset(id_ for id_ in voices if id_.startswith((OWN_VOICE, OWN_CLIP))),
            cast=tuple(name for name, _ in request.cast or voice.cast),
            is_joined=is_joined,
            treatment=self._treat(candidates, terms, is_joined=is_joined),
        )

    def explain(
        self, request: SpeechRequest, terms: Terms | None, own: AccountLibrary = EMPTY_LIBRARY
    ) -> list[tuple[Span, Decision]]:
        """Return the decisions of `plan`, with their errors. Without terms, no plan limits them."""
        _, spans = self._spans(request, terms, own)
        return [(span, self.decide(request, terms, span, own)) for span in spans]

    def remarks(self, decision: Decision) -> list[str]:
        """Return what is missing on this server for a decision: bindings, candidates, front-ends."""
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
                name = route.front_end
                if name is not None and name not in self._rules.front_ends.installed:
                    remarks.append(f"the front_end {name} is not there, so plain prepares the text")
                break
        return remarks


def _clips_of(part: Part) -> list[str]:
    """Return the ids of the clips that the candidates and the post-steps of a part may use."""
    if not (clips := [clip for voice in part.named_voices for clip in voice.clips]):
        return []
    voices_spoken = [*(each.voice for each in part.candidates), *(post.voice for post in part.posts)]
    spoken = {sample.digest for voice in voices_spoken for sample in find_samples(voice)}
    return list(dict.fromkeys(id_ for id_, digest in clips if digest in spoken))


def _speaking_ids(voice: Voice, parts: Sequence[Part]) -> str:
    """Return the ids of the voices of an inline cast that speak, in the order of the cast."""
    whole = f"+{voice.id}+"
    places = {whole.find(f"+{part.voice.id}+"): part.voice.id for part in parts}
    places.pop(-1, None)  # a route's own voice for sentences of another language
    return "+".join(places[place] for place in sorted(places)) or voice.id


def _main_language(parts: Sequence[Part]) -> str:
    if len(parts) == 1:
        return parts[0].language
    spoken: Counter[str] = Counter()
    for part in parts:
        spoken[part.language] += part.characters
    return spoken.most_common(1)[0][0]
