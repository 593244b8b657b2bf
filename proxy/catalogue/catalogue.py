"""The models and voices that exist, from the configuration and the engines, in the form for routing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from msgspec.structs import replace

from policies import routing
from policies.licence import AcceptedLicence, Licences
from policies.plans import Terms
from policies.price import Rate
from policies.routing.filters import only_hear
from proxy.catalogue.configured_voices import ConfiguredVoices, unknown_voice
from proxy.catalogue.post_steps import find_step
from proxy.catalogue.speaker import NamedSpeaker, spoken_by
from proxy.config import natural
from proxy.config.config_toml import Config, known_names
from proxy.config.model_names import find_misnamed
from proxy.config.reader import did_you_mean, nearest_name
from proxy.config.sections import Remark
from proxy.engines.engine_list import Engines
from proxy.errors import InvalidRequest, NotFound, UpstreamFailed
from speech_engine import EngineVoice
from speech_engine.models import NEVER_PASSED

_NO_VOICES: Mapping[str, routing.Voice] = {}
_MOST_OWNERS = 200
"""The most combinations of model, language and caller whose owners of voices are cached."""

_Caller = tuple[tuple[str, ...] | None, bool, bool, bool] | None
CommandFor = Callable[[str | None, bool], str]
"""Returns the command for a model that speaks recordings of a language, or "". True: clients pay for that."""


def no_command(_tag: str | None, _is_paid: bool) -> str:
    return ""


class Catalogue:
    """The catalogue of one revision of the configuration. Each call reads the engines again, because a
    host may start later."""

    def __init__(self, config: Config, engines: Engines, command_for: CommandFor = no_command) -> None:
        self.command_for = command_for
        self._config = config
        self._aliases = config.models
        sections = config.engines.items()
        self._hedges = {name: each.hedge_s for name, each in sections}
        self._costs = {name: each.costs for name, each in sections}
        accepted = {name: AcceptedLicence(of.accept_licence, of.paid_use_basis) for name, of in sections}
        self.licences = Licences(config.server.commercial, accepted)
        self.live = engines
        """The engines as they are now."""
        self._own = ConfiguredVoices(config.voices, engines)
        self._routes = routing.Routes(config.routes)
        self._owners_at = -1
        self._owners: dict[tuple[str, str, _Caller], routing.NameOwners] = {}

    @property
    def engines(self) -> frozenset[str]:
        """The names of the configured engines, up or not."""
        return frozenset(self._config.engines)

    @property
    def routes(self) -> routing.Routes:
        return self._routes

    def models(self) -> list[routing.Model]:
        return [routing.Model(name, info) for name, engine in self.live.items() for info in engine.models()]

    def client_fields(self) -> frozenset[str]:
        return frozenset[str]().union(*(model.info.client_fields for model in self.models())) - NEVER_PASSED

    def list_models(self, terms: Terms | None) -> tuple[list[str], list[routing.Model]]:
        """Return the aliases and models that a plan may use, or without terms, the public ones."""
        models = [model for model in self.models() if routing.may_see(model, terms, self.licences)]
        names = {model.name for model in models}
        engines = None if terms is None else terms.engines
        # An engine that has not been up yet may have any model.
        waiting = {
            name
            for name, engine in self.live.items()
            if not engine.models() and (engines is None or name in engines)
        }

        def may_speak(full: str) -> bool:
            return full in names or full.partition("/")[0] in waiting

        # A route may speak for any alias, but for one that only hears.
        is_routed = any(may_speak(full) for route in self._routes for full in route.candidates)
        routed = {name for name in self._aliases if is_routed and not only_hear(self.alias_models(name))}
        return [
            name for name, of in self._aliases.items() if name in routed or any(map(may_speak, of))
        ], models

    def offer(
        self, name: str, tag: str, operators: Mapping[str, routing.Voice] | None = None
    ) -> routing.Offer:
        """Return the models of a name in this language. Raises as `resolve_model` does.

        `operators` are the voices that the operator saved. Without them, no route has a post-step.
        """
        routed = self._routed(tag)
        if operators is not None and routed is not None and routed.route.post:
            routed = replace(routed, steps=self.find_steps(routed.route, operators))
        is_pinned = name not in self._aliases or only_hear(self.alias_models(name))
        if routed is not None and routed.models and not is_pinned:
            # The models of the alias are rarely needed, and their engines may be down.
            others = [each for each in self._all_named(self._aliases[name]) if each not in routed.models]
            unknown = self._unknown(routed.route.candidates)
            return routing.Offer(models=(), routed=routed, beyond_route=tuple(others), unknown=unknown)
        return routing.Offer(
            models=tuple(self.resolve_model(name)),
            is_pinned=is_pinned,
            routed=routed,
            is_built_in=name in self._config.built_in_models,
            unknown=() if is_pinned else self._unknown((*self._aliases[name], *self._routed_names(tag))),
        )

    def _routed_names(self, tag: str) -> list[str]:
        return [full for route in self._routes.of(tag) for full in route.candidates]

    def _unknown(self, fulls: Iterable[str]) -> tuple[str, ...]:
        engines = dict.fromkeys(full.partition("/")[0] for full in fulls)
        return tuple([each for each in engines if each in self.live and not self.live[each].models()])

    def _routed(self, tag: str) -> routing.RoutingResult | None:
        """Return the most exact usable route: a route without any of its candidates is unusable."""
        for route in self._routes.of(tag):
            models = tuple(self._all_named(route.candidates))
            if models or not route.candidates:
                return routing.RoutingResult(route, models)
        return None

    def find_steps(
        self, route: routing.Route, operators: Mapping[str, routing.Voice]
    ) -> tuple[routing.FoundStep, ...]:
        engines = dict(self.live.items())
        return tuple([find_step(step, engines, operators, self._own.get(step.voice)) for step in route.post])

    def missing_candidates(self, route: routing.Route) -> list[str]:
        return [self._why_missing(full) for full in route.candidates if not self._named(full)]

    def _why_missing(self, full: str) -> str:
        engine, _, model = full.partition("/")
        if engine not in self.live:
            return f"no [engines.{engine}] for {full}"
        known = [info.id for info in self.live[engine].models()]
        if not known:
            return f"{engine} is {self.live[engine].state}, so {full} is not there"
        return f"{engine} has no model of {full!r}; {did_you_mean(model, known)}"

    @property
    def awaits_models(self) -> bool:
        """Tell whether a starting engine's models are still unknown."""
        return any(engine.state != "failed" and not engine.models() for _, engine in self.live.items())

    def coming(self, name: str, tag: str) -> list[str]:
        """Return the engines of candidates of a route for this alias that are still starting."""
        unknown = self._unknown(self._routed_names(tag)) if name in self._aliases else ()
        return [engine for engine in unknown if self.live[engine].state != "failed"]

    def not_up(self, engine: str) -> UpstreamFailed:
        """Return the error of an engine that has never been up."""
        # It has failed, too, while its model or its environment is not there: then it is tried again.
        is_starting = self.live[engine].state == "starting"
        why = "It is starting." if is_starting else "It may still be fetched or installed."
        message = f"The engine '{engine}' is not available right now. {why} Ask again in a minute."
        return UpstreamFailed(message, retry_after_s=2.0)

    def resolve_model(self, name: str) -> list[routing.Model]:
        """Return the models that a name stands for.

        The name is an alias, `engine/model`, an engine (its first model), or a model's id on any engine.
        """
        fulls = self._aliases.get(name, (name,))
        by_id = () if name in self._aliases else self.models()
        if models := self._all_named(fulls) or [model for model in by_id if model.info.id == name]:
            return models
        self.check_known(fulls[0])
        if name in natural.hearing_candidates({}):
            advice = f"No model hears on this server. {natural.BRINGS_EARS}"
            raise NotFound(advice, param="model", code="model_not_found")
        near = nearest_name(name[:80], [*self._aliases, *(model.name for model in self.models())])
        raise NotFound(
            f"The model '{name[:80]}' does not exist or you do not have access to it. "
            f"{f'Did you mean {near}? ' if near else ''}GET /v1/models lists those that you may use.",
            param="model",
            code="model_not_found",
        )

    def check_model(self, name: str) -> None:
        """Raise NotFound if a name is no alias, and surely no model."""
        if name not in self._aliases:
            with suppress(UpstreamFailed):
                self.resolve_model(name)

    def is_for_jobs_only(self, alias: str) -> bool:
        """Tell whether all models of an alias, with those of its routes, are remote."""
        routed = [full for route in self._routes for full in route.candidates]
        models = self._all_named([*self._aliases[alias], *routed])
        return bool(models) and all(model.info.runner for model in models)

    def check_known(self, full: str) -> None:
        """Raise UpstreamFailed if the engine has not been up yet: it may have this model or voice. A name
        without an engine may be of any that is loading."""
        if unknown := self._unknown([full]):
            raise self.not_up(unknown[0])
        if "/" not in full and (loading := self.live.may_bring_voices()):
            raise self.not_up(loading[0])

    def hedge_s(self, engine: str) -> float | None:
        """Return the wait for its audio before the next candidate starts too, in seconds; 0 for never."""
        return self._hedges.get(engine)

    def rate(self, model: routing.Model) -> Rate | None:
        """Return the provider's price for this model, if it is configured."""
        of_engine = self._costs.get(model.engine, {})
        return of_engine.get(model.info.id) or of_engine.get("*")

    def voices(self) -> list[routing.Voice]:
        listed = [
            routing.Voice(
                id=f"{name}/{info.id}",
                name=info.name,
                bindings=(routing.Binding(name, EngineVoice(info.id)),),
                language=info.language,
                gender=info.gender,
                age=info.age,
                tags=info.tags,
                description=info.description,
            )
            for name, engine in self.live.items()
            for info in engine.voices()
        ]
        # A configured voice replaces an engine's voice of the same id, as `resolve_voice` does.
        return [*self._own.offered(), *(voice for voice in listed if voice.id not in self._own)]

    def resolve_voice(self, name: str, of_account: Mapping[str, routing.Voice] = _NO_VOICES) -> routing.Voice:
        """Return a voice by its id, or by a name that is unique. Raises InvalidRequest.

        `of_account` has the caller's own voices by id and name; they come first.
        """
        if (own := of_account.get(name) or self._own.get(name)) is not None:
            return own
        voices = self.voices()
        matches = [voice for voice in voices if voice.id == name] or [v for v in voices if v.name == name]
        if len(matches) == 1:
            return matches[0]
        if matches:
            same = ", ".join(voice.id for voice in matches)
            message = f"The voice name '{name[:80]}' is not unique; use one of the ids: {same}."
        else:
            self.check_known(name)
            ids = [*of_account, *(voice.id for voice in voices)]
            message = unknown_voice(name, ids)
        raise InvalidRequest(message, param="voice", code="voice_not_found")

    def may_have(self, name: str) -> bool:
        """Tell whether a voice exists, or may be one of an engine that has not been up yet."""
        try:
            self.resolve_voice(name)
        except InvalidRequest:
            return False
        except UpstreamFailed:
            return True
        return True

    def with_speaker(self, voice: routing.Voice, terms: Terms | None) -> NamedSpeaker:
        """Return who speaks if a request names a voice, but no model and no language."""
        server = self._config.server
        alone = NamedSpeaker(voice, "", spoken_by(voice))
        if not any(binding.shares for binding in voice.bindings):
            return alone
        try:
            decision = self._decide(voice, server.default_model, server.default_language, terms)
        except (NotFound, UpstreamFailed):
            return alone
        if not decision.candidates:
            return alone
        first = self.with_aliases(decision, server.default_model, terms).candidates[0]
        other = first.share.other_gender if first.share else ""
        spoken = (first.model.engine, routing.voice_text(first.voice))
        return NamedSpeaker(replace(voice, gender=other) if other else voice, first.alias_of, spoken)

    def name_rank(self, voice: routing.Voice) -> int:
        """Return which name of a speaker lists show, the lowest: the operator's, an engine's, OpenAI's."""
        return 1 if voice.id not in self._own else 2 if voice.id in known_names() else 0

    def with_aliases(self, decision: routing.Decision, model: str, terms: Terms | None) -> routing.Decision:
        """Return a decision on a request for `model`, with the owners of its candidates' voices."""
        for candidate in decision.candidates:
            if candidate.share is not None:
                return self._name_owners(model, decision.query.language, terms).tell(decision)
        return decision

    def _name_owners(self, model: str, tag: str, terms: Terms | None) -> routing.NameOwners:
        """Return the owners of the engines' voices. They are cached until an engine's list changes."""
        revision = self.live.revision
        if self._owners_at != revision or len(self._owners) >= _MOST_OWNERS:
            self._owners_at, self._owners = revision, {}
        of_terms = None
        if terms is not None:
            of_terms = (terms.engines, terms.local_only, terms.is_paid, terms.is_for_job)
        key = (model, tag, of_terms)
        if (known := self._owners.get(key)) is None:
            voices = [voice for name in known_names() if (voice := self._own.get(name)) is not None]
            found = routing.find_owners(self._decide(voice, model, tag, terms) for voice in voices)
            known = self._owners[key] = found
        return known

    def _decide(self, voice: routing.Voice, model: str, tag: str, terms: Terms | None) -> routing.Decision:
        query = routing.RoutingQuery(language=tag, source="default")
        return routing.decide(self.offer(model, tag), voice, query, terms, routing.Rules(self.licences))

    def missing_bindings(self, voice: routing.Voice) -> list[str]:
        """Return the reasons why engines lack a configured voice that is bound to them."""
        missing = self._own.missing(voice.id)
        return [f"{binding.engine} has no voice {routing.voice_text(binding.voice)!r}" for binding in missing]

    def voice_obstacle(self, name: str) -> str:
        """Return why no engine can speak with this voice, or "". The reason is public."""
        return "no engine has it: see voxgate check" if self._own.is_silent(name) else ""

    def unusable_models(self) -> list[Remark]:
        """Return the models that cannot speak: their engine lacks them, or their licence is not accepted."""
        known = {name: [info.id for info in engine.models()] for name, engine in self.live.items()}
        return [*find_misnamed(self._config, known), *self._unlicensed()]

    def _unlicensed(self) -> list[Remark]:
        return [
            Remark(
                model.name,
                f"its licence, {model.info.licence!r}, is not accepted: "
                f"engines.{model.engine}.accept_licence",
            )
            for model in self.models()
            if self.licences.obstacle(model.engine, model.info, is_paid=False) == "not_accepted"
        ]

    def unusable_voices(self) -> list[tuple[str, str]]:
        return [
            (name, f"{binding.engine} does not have it: see voxgate check")
            for name, binding in self._own.all_missing()
        ]

    def alias_models(self, alias: str) -> list[routing.Model]:
        return self._all_named(self._aliases[alias])

    def _all_named(self, fulls: Iterable[str]) -> list[routing.Model]:
        return [model for full in fulls for model in self._named(full)]

    def _named(self, full: str) -> list[routing.Model]:
        engine, slash, id_ = full.partition("/")
        if engine not in self.live:
            return []
        models = self.live[engine].models()
        if not slash:
            return [routing.Model(engine, info) for info in models[:1]]
        return [routing.Model(engine, info) for info in models if info.id == id_]
