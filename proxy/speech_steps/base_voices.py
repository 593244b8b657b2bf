"""A voice of recordings on engines that cannot speak it: they speak with a base voice of their own, and a
local model repeats that in the voice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from msgspec.structs import replace

from policies.language import base_tag
from policies.plans import Terms
from policies.routing import (
    Binding,
    Decision,
    Model,
    NoCandidate,
    Offer,
    Post,
    PostSpeaker,
    PostStep,
    RoutingQuery,
    Rules,
    Voice,
    decide,
    speaks,
)
from policies.routing.decision import find_repeater
from policies.routing.filters import FilterInput, Name, no_use
from policies.routing.speakers import may_be_used
from proxy.catalogue.catalogue import Catalogue
from proxy.catalogue.library import AccountLibrary
from proxy.config.config_toml import known_names
from speech_engine import EngineVoice, VoiceInfo

_REFUSED_BEFORE: frozenset[Name | None] = frozenset(
    ("converts", "voice", "sample", "plan", "jobs", "licence", "consent", "language")
)
"""The filters of models that do not speak a voice in a language. Others refuse how it would be spoken."""
_AWAY_S = 2.0


def repeat_own(
    decision: Decision,
    offer: Offer,
    catalogue: Catalogue,
    own: AccountLibrary,
    terms: Terms | None,
    rules: Rules,
) -> Decision:
    """Return a decision in which another model repeats base voices, if no model of `decision` speaks the
    voice in the language. A post-step of the route leaves it as it is, and so does a model that is away."""
    voice, query, error = decision.voice, decision.query, decision.error
    refused_by = {each.refused_by for each in decision.verdicts}
    is_spoken = not refused_by <= _REFUSED_BEFORE or (voice.awaits_words and "sample" in refused_by)
    if is_spoken or query.post is not None or error is None or error.retry_after_s is not None:
        return decision
    repeaters = find_repeaters(voice, catalogue)
    if voice.samples and (coming := _starting(catalogue, offer, repeaters)):
        # It may speak the voice itself, or is the converter.
        away = NoCandidate("model", "engine_unavailable", "", retry_after_s=_AWAY_S, engine=coming)
        return replace(decision, error=away)
    bases = BaseVoices(catalogue, own)
    base = bases.voice_for(voice, query.language, offer.unknown)
    if not repeaters or not any(base.on(model.engine) for model in (*offer.in_order, *offer.beyond_route)):
        return decision
    repeater = _repeater(repeaters, voice, query, terms, rules)
    if isinstance(repeater, NoCandidate):
        return replace(decision, error=repeater)
    step = PostStep(engine=repeater.model.engine, voice=voice.id)
    repeated = replace(query, pitch=0.0, post=Post(step, repeater))
    first: Decision | None = None
    for number, offered in enumerate(_offers(offer, bases, voice.gender, query.language)):
        found = decide(offered, base, repeated, terms, rules)
        if found.error is None or found.error.retry_after_s is not None:
            ignores = ("route",) if number else ()
            candidates = tuple([replace(each, ignores=ignores) for each in found.candidates])
            return replace(found, voice=voice, query=query, candidates=candidates)
        first = first or found
    return replace(first or decision, voice=voice, query=query)


def find_repeaters(voice: Voice, catalogue: Catalogue) -> list[Model]:
    """Return the local models that repeat speech in a voice: those for which it was trained, or else, for
    recordings, the configured converter."""
    local = [each for each in catalogue.models() if each.info.converts and each.info.is_local]
    trained = [each for each in local if voice.trained_for(each.info)]
    if trained or not voice.samples:
        return trained
    return [each for each in local if each.engine == catalogue.converter and each.info.speaks_samples]


class BaseVoices:
    """The voices of engines' own lists. A voice that someone saved, bound or cloned is a person's, so it is
    never a base voice."""

    def __init__(self, catalogue: Catalogue, own: AccountLibrary) -> None:
        self._catalogue = catalogue
        configured = [each for each in catalogue.configured.offered() if each.id not in known_names()]
        bound = [binding for voice in (*own.listed, *configured) for binding in voice.bindings]
        self._persons = {(each.engine, each.voice) for each in bound}
        self._found: dict[tuple[str, str, str | None], VoiceInfo | None] = {}

    def voice_for(self, voice: Voice, tag: str, unknown: Iterable[str] = ()) -> Voice:
        """Return a voice with the base voice of each engine that speaks a language. The engines that are
        `unknown` may have one, unless they have failed."""
        found = {name: "" for name in unknown if self._catalogue.live[name].state != "failed"}
        for name, _ in self._catalogue.live.items():
            if (info := self.find(name, tag, voice.gender)) is not None:
                found[name] = info.id
        bindings = tuple([Binding(name, EngineVoice(id_)) for name, id_ in found.items()])
        return Voice(id=voice.id, name=voice.name, account=voice.account, bindings=bindings)

    def find(self, engine: str, tag: str, gender: str | None) -> VoiceInfo | None:
        """Return the engine's first voice of a gender in a language that it speaks, or else the first in the
        language."""
        key = (engine, tag, gender)
        if key not in self._found:
            self._found[key] = self._find(*key)
        return self._found[key]

    def _find(self, engine: str, tag: str, gender: str | None) -> VoiceInfo | None:
        if not any(info.speaks and speaks(info, tag) for info in self._catalogue.live[engine].models()):
            return None
        able = [
            each
            for each in self._catalogue.live[engine].voices()
            if each.language is None or base_tag(each.language) == base_tag(tag)
            if not each.is_cloned and (engine, EngineVoice(each.id)) not in self._persons
        ]
        able.sort(key=lambda each: (gender not in (None, each.gender), each.language not in (None, tag)))
        return able[0] if able else None

    def ordered(self, models: Iterable[Model], tag: str, gender: str | None) -> Iterator[Model]:
        """Yield models: among neighbours of one kind, those with a voice of the gender come first, and then
        those that stand in for slower ones, because two models work for each second."""

        def rank(model: Model) -> tuple[bool, bool]:
            found = self.find(model.engine, tag, gender)
            return found is None or gender not in (None, found.gender), not self._is_quick(model.engine)

        for _, run in groupby(models, key=lambda model: model.info.is_trained):
            yield from sorted(run, key=rank)

    def _is_quick(self, engine: str) -> bool:
        names = self._catalogue.live.names.get(engine, {})
        stands_in = not isinstance(names, str) and any(each.stands_in for each in names.values())
        return stands_in or bool(self._catalogue.live.stands_in(engine))


def _offers(offer: Offer, bases: BaseVoices, gender: str | None, tag: str) -> Iterator[Offer]:
    """Yield the models in their order, and then those beyond the route, without the steps of the route."""
    for models in (offer.in_order, offer.beyond_route):
        ordered = tuple(bases.ordered(models, tag, gender))
        routed = offer.routed and replace(offer.routed, models=ordered, steps=())
        if ordered:
            yield replace(offer, models=ordered, routed=routed, beyond_route=())


def _starting(catalogue: Catalogue, offer: Offer, repeaters: list[Model]) -> str:
    """Return an engine that has not been up yet, and is about to be, or ""."""
    converter = () if repeaters or catalogue.converter not in catalogue.live else (catalogue.converter,)
    unknown = [each for each in (*offer.unknown, *converter) if not catalogue.live[each].models()]
    return next((each for each in unknown if catalogue.live[each].state == "starting"), "")


def _repeater(
    models: list[Model], voice: Voice, query: RoutingQuery, terms: Terms | None, rules: Rules
) -> PostSpeaker | NoCandidate:
    """Return the first model that may repeat, or the reason why the first one may not."""
    if not may_be_used(voice, "speech"):
        return no_use(voice, "speech")
    asked = RoutingQuery(language=query.language, source=query.source, pitch=query.pitch, converts=True)
    # The speech of a base voice is converted, which needs no consent.
    inputs = FilterInput(replace(voice, uses=None), asked, terms, rules.licences)
    judged = [find_repeater(model, inputs) for model in models]
    found = next((each for each in judged if isinstance(each, PostSpeaker)), None)
    return judged[0] if found is None else replace(found, named_voice=voice, is_own=True)
