"""The routing decision of a request: the route, the models in order, and the filters' verdict on each
model."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import groupby

import msgspec

import speech_engine
from policies import language
from policies.licence import Licences
from policies.plans import Terms
from policies.routing import filters
from policies.routing.filters import FILTERS, Filter, FilterInput, no_use
from policies.routing.speakers import Speaker, find_emotions, find_speaker, may_be_used
from policies.routing.values import (
    PLAIN,
    Candidate,
    FoundStep,
    Model,
    NoCandidate,
    Post,
    PostSpeaker,
    Route,
    RoutingQuery,
    Voice,
    voice_text,
)
from speech_engine import ModelInfo

_NO_SUBSTITUTE = "The natural voice is not available right now, and no other speaks in its place."
_RETRY_S = 5.0


class FrontEndNames(msgspec.Struct, frozen=True):
    """The installed front-ends. `by_language` has those that are made for one language, by its base tag."""

    installed: frozenset[str] = frozenset((PLAIN,))
    by_language: Mapping[str, str] = {}


class Rules(msgspec.Struct, frozen=True):
    """The settings for all requests of one revision of the configuration.

    Without `robot_fallback`, a rule-based model never speaks in place of a natural one.
    """

    licences: Licences = Licences()
    front_ends: FrontEndNames = FrontEndNames()
    robot_fallback: bool = True


class RoutingResult(msgspec.Struct, frozen=True):
    """A route, those of its candidates that exist at this moment, and its post-steps."""

    route: Route
    models: tuple[Model, ...]
    steps: tuple[FoundStep, ...] = ()


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """The models behind the request's `model`.

    If it `is_pinned`, the request names the models itself, and no route replaces them. `routed` is the route
    of the request's language. `beyond_route` are the other models of the alias, for recorded voices that no
    model of the route can speak. The order of a list that `is_built_in` was not chosen by the operator.
    `unknown` are engines of the list that have never been up.
    """

    models: tuple[Model, ...]
    is_pinned: bool = False
    routed: RoutingResult | None = None
    beyond_route: tuple[Model, ...] = ()
    is_built_in: bool = False
    unknown: tuple[str, ...] = ()

    @property
    def in_order(self) -> tuple[Model, ...]:
        if self.routed is None or self.is_pinned:
            return self.models
        return self.routed.models or self.models

    @property
    def steps(self) -> tuple[FoundStep, ...]:
        """The post-steps. A request that names its models itself has none."""
        return () if self.routed is None or self.is_pinned else self.routed.steps


class Verdict(msgspec.Struct, frozen=True):
    """The filter that refused one model, and its reason. None means that the model passed all filters."""

    model: Model
    refused_by: filters.Name | None = None
    reason: str = ""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The candidates in order, or the `error` of the filter that refused the last one. `steps` are the
    post-steps of the route."""

    voice: Voice
    query: RoutingQuery
    route: Route | None
    verdicts: tuple[Verdict, ...]
    candidates: tuple[Candidate, ...]
    error: NoCandidate | None = None
    steps: tuple[FoundStep, ...] = ()

    @property
    def lacks_post(self) -> bool:
        """Whether the post-step cannot be done. In another language, the route might have no post-step."""
        return self.query.post is not None and self.query.post.speaker is None

    @property
    def emotions(self) -> tuple[str, ...]:
        """The emotions of the first candidate and of the post-steps."""
        of_steps = [found.step.emotion for found in self.steps if found.step.emotion is not None]
        return (*find_emotions(self.voice, self.candidates[0].model), *of_steps)


def decide(offer: Offer, voice: Voice, query: RoutingQuery, terms: Terms | None, rules: Rules) -> Decision:
    """Apply the filters in their order, and return the decision, which may have an error. Raises nothing.

    Without terms, the plan refuses nothing. If no model of a route can speak a recorded voice, the other
    models of the alias are tried. Natural models ignore a pitch that only rule-based ones have.
    """
    decision = _decide(offer, voice, query, terms, rules)
    error, routed, replace = decision.error, offer.routed, msgspec.structs.replace
    able = [each.model for each in decision.candidates]
    if query.pitch and able and not (offer.is_pinned or any(model.info.is_trained for model in able)):
        plain = _decide(offer, voice, replace(query, pitch=0.0), terms, rules)
        if any(each.model.info.is_trained for each in plain.candidates):
            known = [replace(c, ignores=() if c.model in able else ("pitch",)) for c in plain.candidates]
            return replace(plain, query=query, candidates=tuple(known))
    lacks_voice = error is not None and error.field == "voice" and error.retry_after_s is None
    if not (lacks_voice and voice.is_recorded and offer.beyond_route and routed is not None):
        return decision
    if query.by_sentence and routed.route.sentences:
        return decision  # these sentences have the voice of their route
    beyond = Offer(models=(), routed=replace(routed, models=offer.beyond_route))
    other = _decide(beyond, voice, query, terms, rules)
    if other.error is not None:
        return decision
    candidates = tuple([replace(each, ignores=("route",)) for each in other.candidates])
    return replace(other, verdicts=(*decision.verdicts, *other.verdicts), candidates=candidates)


def _decide(offer: Offer, voice: Voice, query: RoutingQuery, terms: Terms | None, rules: Rules) -> Decision:
    inputs = FilterInput(voice, query, terms, rules.licences)
    post = query.post
    if (steps := offer.steps) and (post := find_post(steps, inputs)) is not None:
        query = msgspec.structs.replace(query, post=post)
        inputs = inputs._replace(query=query)
    repeater = None if post is None else post.speaker
    route = None if offer.routed is None else offer.routed.route
    judged = [(model, _first_refusal(model, inputs)) for model in offer.in_order]
    able = [
        (model, speaker)
        for model, refuser in judged
        if refuser is None and (speaker := find_speaker(voice, model, query)) is not None
    ]
    error = None if able else _last_refusal(judged, inputs, route)
    if len(able) > 1:
        able = _ranked(able, is_built_in=offer.is_built_in)
    # An engine that has never been up may have the voice, and may be natural.
    may_come = next((each for each in offer.unknown if voice.samples or voice.on(each) is not None), "")
    has_natural = bool(may_come) or any(model.info.is_trained for model, _ in able)
    is_for_job = terms is not None and terms.is_for_job
    if has_natural and able and (is_for_job or not rules.robot_fallback):
        able = [(model, speaker) for model, speaker in able if model.info.is_trained]
    if is_for_job and (may_come or not all(speaker.stands_in for _, speaker in able)):
        # A job waits for the voice itself.
        able = [(model, speaker) for model, speaker in able if not speaker.stands_in]
    # A natural model has the voice, so a robot is not what was asked for, also in a language of its own.
    offered = () if offer.is_pinned else (*offer.in_order, *offer.beyond_route)
    is_unasked = not all(model.info.is_trained for model, _ in able) and any(
        each.info.is_trained and find_speaker(voice, each, query) for each in offered
    )
    if not able and error is None:
        error = NoCandidate("model", "engine_unavailable", _NO_SUBSTITUTE, retry_after_s=2.0, engine=may_come)
    return Decision(
        voice=voice,
        query=query,
        route=route,
        verdicts=tuple(
            Verdict(model, of.name, of.refusal((model,), inputs).message) if of else Verdict(model)
            for model, of in judged
        ),
        candidates=tuple(
            [
                Candidate(
                    model,
                    speaker.voice,
                    _front_end(model.info, route, query, rules),
                    speaker.credential,
                    speaker.share,
                    post=repeater,
                    is_robot=has_natural and not model.info.is_trained,
                    is_unasked=is_unasked and not model.info.is_trained,
                    stands_in=speaker.stands_in,
                )
                for model, speaker in able
            ]
        ),
        error=error,
        steps=steps,
    )


def _ranked(able: Iterable[tuple[Model, Speaker]], *, is_built_in: bool) -> list[tuple[Model, Speaker]]:
    """Order the able models: if the list `is_built_in`, rule-based models come last. Among neighbours of one
    kind, models with a voice of the right gender come first."""
    if is_built_in:
        able = sorted(able, key=lambda each: not each[0].info.is_trained)
    runs = groupby(able, key=lambda each: each[0].info.is_trained)
    return [each for _, run in runs for each in sorted(run, key=lambda each: not each[1].is_of_gender)]


def move_late_last(candidates: Sequence[Candidate], late: Container[str]) -> list[Candidate]:
    """Return the candidates with those of late engines moved behind their neighbours of the same kind."""
    runs = groupby(candidates, key=lambda each: each.model.info.is_trained)
    return [each for _, run in runs for each in sorted(run, key=lambda each: each.model.engine in late)]


def _first_refusal(model: Model, inputs: FilterInput) -> Filter | None:
    """Return the first filter that the model does not pass."""
    for filter_ in FILTERS:
        if not filter_.passes(model, inputs):
            return filter_
    return None


def _last_refusal(
    judged: Sequence[tuple[Model, Filter | None]], inputs: FilterInput, route: Route | None
) -> NoCandidate:
    """Return the error of the last filter that a model reached. No model passed it."""
    last = max((refuser for _, refuser in judged if refuser is not None), key=FILTERS.index)
    error = last.refusal([model for model, refuser in judged if refuser is last], inputs)
    if last.name == "language" or route is not None:
        # Without a route, the language did not select the models.
        error.message += filters.remark_on_guess(inputs.query)
    return error


def _front_end(info: ModelInfo, route: Route | None, query: RoutingQuery, rules: Rules) -> str:
    """Return the route's front-end, or the language's front-end for a model that cannot read numbers."""
    names = rules.front_ends
    if route is not None and route.front_end is not None:
        return route.front_end if route.front_end in names.installed else PLAIN
    if info.reads_numbers:
        return PLAIN
    return names.by_language.get(language.base_tag(query.language), PLAIN)


_EngineVoice = tuple[str, speech_engine.Voice]
"""The name of an engine, and one of its voices."""


class NameOwners(msgspec.Struct, frozen=True):
    """The names that own the engines' voices. The other names of such a voice are its aliases.

    `first` has the first name that speaks with a voice, `later` the first name that would speak with it after
    other candidates failed. A name never owns a voice of another gender.
    """

    first: Mapping[_EngineVoice, str]
    later: Mapping[_EngineVoice, str]

    def with_aliases(self, decision: Decision) -> Decision:
        """Return the decision with `alias_of` set in its candidates."""
        replace, voice = msgspec.structs.replace, decision.voice
        candidates = [
            each if each.share is None else replace(each, alias_of=self._alias_of(voice, each))
            for each in decision.candidates
        ]
        return replace(decision, candidates=tuple(candidates))

    def _alias_of(self, voice: Voice, candidate: Candidate) -> str:
        """Return the owner of the candidate's voice: another name, the engine's id if no name owns it, or ""
        if `voice` owns it."""
        share, spoken = candidate.share, (candidate.model.engine, candidate.voice)
        own_names = ("", voice.id, share.name if share else "")  # "": no name owns the engine's voice
        owner = self.first.get(spoken, "")
        if owner:
            return "" if owner in own_names else owner
        is_own = (share is None or share.is_of_gender) and self.later.get(spoken, "") in own_names
        return "" if is_own else voice_text(candidate.voice)


def find_owners(decisions: Iterable[Decision]) -> NameOwners:
    """Return the owners of the voices, from the decisions on all names in their order."""
    first: dict[_EngineVoice, str] = {}
    later: dict[_EngineVoice, str] = {}
    for decision in decisions:
        for number, candidate in enumerate(decision.candidates):
            if candidate.share is None or candidate.share.is_of_gender:
                owned = later if number else first
                owned.setdefault((candidate.model.engine, candidate.voice), decision.voice.id)
    return NameOwners(first, later)


def find_post(steps: Sequence[FoundStep], inputs: FilterInput) -> Post | None:
    """Return the first step for the emotion of a query, with its model. Conversions have no post-step."""
    query = inputs.query
    if query.converts:
        return None
    for found in steps:
        if found.step.emotion is None or found.step.emotion == query.emotion:
            return _judge_step(found, inputs)
    return None


def _judge_step(found: FoundStep, inputs: FilterInput) -> Post:
    step, model, voice = found.step, found.model, found.voice
    if model is None or voice is None:
        # The configuration is wrong, or the engine is starting. The request is not at fault.
        message = f"The post-step of this language's route cannot be done: {found.lack}."
        return Post(step, error=NoCandidate("model", "post_step_not_ready", message, retry_after_s=_RETRY_S))
    if not may_be_used(inputs.voice, "conversion"):
        # The post-step converts the speech of this voice, so the voice must allow conversion.
        return Post(step, error=_as_of_post_step(no_use(inputs.voice, "conversion")))
    query = RoutingQuery(
        language=inputs.query.language,
        source=inputs.query.source,
        pitch=step.pitch,
        converts=True,
        receivers=_receivers(inputs.voice),
    )
    found_speaker = find_repeater(model, inputs._replace(voice=voice, query=query))
    if isinstance(found_speaker, NoCandidate):
        return Post(step, error=_as_of_post_step(found_speaker))
    return Post(step, found_speaker)


def find_repeater(model: Model, inputs: FilterInput) -> PostSpeaker | NoCandidate:
    """Return how a model converts speech into the voice of the inputs, or why it cannot."""
    if (refuser := _first_refusal(model, inputs)) is not None:
        return refuser.refusal((model,), inputs)
    speaker = find_speaker(inputs.voice, model, inputs.query)
    assert speaker is not None, "the filter of voices has found one"
    return PostSpeaker(model, speaker.voice, inputs.voice, speaker.credential, inputs.query.pitch)


def _receivers(voice: Voice) -> tuple[str, ...] | None:
    """Return the engines that may receive speech of this voice and of all its members. None is all."""
    agreed = [each.providers for each in (voice, *voice.members) if each.providers is not None]
    if not agreed:
        return None
    return tuple([name for name in agreed[0] if all(name in others for others in agreed)])


def _as_of_post_step(refusal: NoCandidate) -> NoCandidate:
    """Return the error of a request whose post-step was refused. Unless it is forbidden, only the operator
    can mend it, so the request may be tried again."""
    message = f"The post-step of this language's route cannot be done: {refusal.message}"
    if refusal.is_forbidden:
        refusal.field, refusal.message = "model", message
        return refusal
    return NoCandidate("model", "post_step_not_ready", message, retry_after_s=_RETRY_S)
