"""The models and voices of the configuration and the engines, as the values that routing needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Literal

from msgspec.structs import replace

from policies import routing
from policies.language import base_tag
from policies.licence import AcceptedLicence, Licences
from policies.plans import Terms
from policies.price import Rate
from policies.routing.filters import only_hear
from proxy.catalogue.configured_voices import ConfiguredVoices, find_without_case, unknown_voice_message
from proxy.catalogue.speaker import NamedSpeaker, first_binding_key
from proxy.config import defaults
from proxy.config.config_toml import Config, known_names
from proxy.config.model_names import find_misnamed
from proxy.config.reader import did_you_mean, nearest_name
from proxy.config.sections import Remark
from proxy.engines.engine_list import Engines
from proxy.errors import InvalidRequest, NotFound, UpstreamFailed
from proxy.helpers.outside import outside
from speech_engine import EngineVoice
from speech_engine.models import NEVER_PASSED

_NO_VOICES: Mapping[str, routing.Voice] = {}
_MOST_CACHED_OWNERS = 200
"""The most cached results of `_find_name_owners`, each for one model, language and plan."""

_PlanKey = tuple[tuple[str, ...] | None, bool, bool, bool] | None
"""The terms that decide which models speak: `engines`, `local_only`, `is_paid` and `is_for_job`."""
ModelUse = Literal["recordings", "stand_in", "natural"]
"""What a model is for: voices of recordings, a voice that stands in for late ones, or any natural one."""
FindModelCommand = Callable[[str | None, bool, ModelUse], str]
"""Takes a language, whether clients pay, and what for. Returns the command that installs a model, or ""."""


def no_model_command(_tag: str | None, _is_paid: bool, _use: ModelUse) -> str:
    return ""


class Catalogue:
    """The catalogue of one revision of the configuration. Each call reads the engines anew."""

    def __init__(
        self, config: Config, engines: Engines, command_for: FindModelCommand = no_model_command
    ) -> None:
        self.command_for = command_for
        self._config = config
        self._aliases = config.models
        sections = config.engines.items()
        self.hedges_s = {name: section.hedge_s for name, section in sections}
        """How long engines may be silent before the next candidate starts, too. 0: for ever, None: unset."""
        self._costs = {name: section.costs for name, section in sections}
        accepted = {
            name: AcceptedLicence(section.accept_licence, section.paid_use_basis)
            for name, section in sections
        }
        self.licences = Licences(config.server.commercial, accepted)
        self.converter = config.server.converter
        self.live = engines
        """The engines with their models and voices as they are now."""
        self.configured = ConfiguredVoices(config.voices, engines)
        self._routes = routing.Routes(config.routes)
        self._find_step = outside("proxy.speech_steps.post_steps", "find_step", _no_step)
        self._owners_revision = -1
        self._owners: dict[tuple[str, str, _PlanKey], routing.NameOwners] = {}

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
        """Return the names of request fields that some model takes in a form of its own."""
        return frozenset[str]().union(*(model.info.client_fields for model in self.models())) - NEVER_PASSED

    def usable_models(self, terms: Terms | None) -> list[routing.Model]:
        """Return the models that a plan may use, or without terms, the public ones."""
        return [model for model in self.models() if routing.may_see(model, terms, self.licences)]

    def list_models(self, terms: Terms | None) -> tuple[list[str], list[routing.Model]]:
        """Return the aliases and the models that a plan may use, or without terms, the public ones."""
        models = self.usable_models(terms)
        names = {model.name for model in models}
        engines = None if terms is None else terms.engines
        # An engine that has not been up yet may have any model.
        without_list = {
            name
            for name, engine in self.live.items()
            if not engine.models() and (engines is None or name in engines)
        }

        def may_speak(full: str) -> bool:
            return full in names or full.partition("/")[0] in without_list

        # A route may speak for any alias, but for one that only hears.
        is_routed = any(may_speak(full) for route in self._routes for full in route.candidates)
        routed = {name for name in self._aliases if is_routed and not only_hear(self.models_of_alias(name))}
        aliases = [name for name, of in self._aliases.items() if name in routed or any(map(may_speak, of))]
        return aliases, models

    def find_offer(
        self, name: str, tag: str, operator_voices: Mapping[str, routing.Voice] | None = None
    ) -> routing.Offer:
        """Return the models for a request with this `model` and language. Raises as `resolve_models` does.

        `operator_voices` are the operator's saved ones. Without them, the offer has no post-steps.
        """
        routed = self._usable_route(tag)
        if operator_voices is not None and routed is not None and routed.route.post:
            routed = replace(routed, steps=self.find_steps(routed.route, operator_voices))
        is_pinned = name not in self._aliases or only_hear(self.models_of_alias(name))
        if routed is not None and routed.models and not is_pinned:
            # The models of the alias are rarely needed, and their engines may be down.
            others = [
                each for each in self._find_all_models(self._aliases[name]) if each not in routed.models
            ]
            unknown = self._unknown_engines(routed.route.candidates, tag)
            return routing.Offer(models=(), routed=routed, beyond_route=tuple(others), unknown=unknown)
        return routing.Offer(
            models=tuple(self.resolve_models(name)),
            is_pinned=is_pinned,
            routed=routed,
            is_built_in=name in self._config.built_in_models,
            unknown=()
            if is_pinned
            else self._unknown_engines((*self._aliases[name], *self._route_candidates(tag)), tag),
        )

    def _route_candidates(self, tag: str) -> list[str]:
        return [full for route in self._routes.of(tag) for full in route.candidates]

    def _unknown_engines(self, fulls: Iterable[str], tag: str = "") -> tuple[str, ...]:
        """Return the engines in these names (`engine/model`) whose models are unknown: they were never up.
        With a tag, those that are fetched for other languages are left out."""
        engines = dict.fromkeys(full.partition("/")[0] for full in fulls)
        unknown = [each for each in engines if each in self.live and not self.live[each].models()]
        fetched = {each: {*map(base_tag, self.live.fetch_of(each)[1])} for each in unknown if tag}
        return tuple([each for each in unknown if not fetched.get(each) or base_tag(tag) in fetched[each]])

    def _usable_route(self, tag: str) -> routing.RoutingResult | None:
        """Return the most exact usable route. A route is unusable if all its candidates are missing."""
        for route in self._routes.of(tag):
            models = tuple(self._find_all_models(route.candidates))
            if models or not route.candidates:
                return routing.RoutingResult(route, models)
        return None

    def find_steps(
        self, route: routing.Route, operator_voices: Mapping[str, routing.Voice]
    ) -> tuple[routing.FoundStep, ...]:
        find, configured, live = self._find_step, self.configured, dict(self.live.items())
        return tuple([find(step, live, operator_voices, configured.get(step.voice)) for step in route.post])

    def missing_candidates(self, route: routing.Route) -> list[str]:
        return [self._why_missing(full) for full in route.candidates if not self._find_models(full)]

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
        """Tell whether the models of an engine that has not failed are still unknown."""
        return any(engine.state != "failed" and not engine.models() for _, engine in self.live.items())

    def starting_engines(self, name: str, tag: str) -> list[str]:
        """Return the engines that the routes of this language name, and that have not been up and have not
        failed. A name that is no alias has no routes, so there are none."""
        unknown = self._unknown_engines(self._route_candidates(tag)) if name in self._aliases else ()
        return [engine for engine in unknown if self.live[engine].state != "failed"]

    def not_up_error(self, engine: str) -> UpstreamFailed:
        """Return the error of an engine that has never been up."""
        message = f"The engine '{engine}' is not available right now."
        state, _ = self.live.fetch_of(engine)
        if state is None:
            # An engine also counts as failed while its model or environment is missing.
            is_starting = self.live[engine].state == "starting"
            why = "It is starting." if is_starting else "It may still be fetched or installed."
            return UpstreamFailed(f"{message} {why} Ask again in a minute.", retry_after_s=2.0)
        if state.state == "failed":
            why = "It could not be fetched. The operator of this server can run: voxgate doctor"
            return UpstreamFailed(f"{message} {why}", headers={"x-should-retry": "false"})
        why = f"It is being fetched, {state.loaded:.0%} so far. Ask again in {state.loads_s:.0f} seconds."
        return UpstreamFailed(f"{message} {why}", retry_after_s=state.loads_s)

    def resolve_models(self, name: str) -> list[routing.Model]:
        """Return the models that a name stands for.

        The name is an alias, `engine/model`, an engine (its first model), or a model's id on any engine.
        """
        fulls = self._aliases.get(name, (name,))
        by_id = () if name in self._aliases else self.models()
        if models := self._find_all_models(fulls) or [model for model in by_id if model.info.id == name]:
            return models
        self.refuse_if_starting(fulls[0])
        if name in defaults.hearing_candidates({}):
            advice = f"No model hears on this server. {defaults.HOW_TO_HEAR}"
            raise NotFound(advice, param="model", code="model_not_found")
        near = nearest_name(name[:80], [*self._aliases, *(model.name for model in self.models())])
        raise NotFound(
            f"The model '{name[:80]}' does not exist or you do not have access to it. "
            f"{f'Did you mean {near}? ' if near else ''}GET /v1/models lists those that you may use.",
            param="model",
            code="model_not_found",
        )

    def check_model(self, name: str) -> None:
        """Raise NotFound unless a name is an alias, a model, or may be one of an engine that was never up."""
        if name not in self._aliases:
            with suppress(UpstreamFailed):
                self.resolve_models(name)

    def is_for_jobs_only(self, alias: str) -> bool:
        """Tell whether all models of an alias and of the routes run on rented machines."""
        routed = [full for route in self._routes for full in route.candidates]
        models = self._find_all_models([*self._aliases[alias], *routed])
        return bool(models) and all(model.info.runner for model in models)

    def refuse_if_starting(self, full: str) -> None:
        """Raise UpstreamFailed if an engine that has not been up may have this model or voice. A name without
        an engine may belong to any engine that is loading."""
        if unknown := self._unknown_engines([full]):
            raise self.not_up_error(unknown[0])
        if "/" not in full and (loading := self.live.may_bring_voices()):
            raise self.not_up_error(loading[0])

    def provider_rate(self, model: routing.Model) -> Rate | None:
        """Return the provider's price for this model, if it is configured."""
        rates = self._costs.get(model.engine, {})
        return rates.get(model.info.id) or rates.get("*")

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
        return [*self.configured.offered(), *(voice for voice in listed if voice.id not in self.configured)]

    def resolve_voice(self, name: str, of_account: Mapping[str, routing.Voice] = _NO_VOICES) -> routing.Voice:
        """Return a voice by its id, or by a name that is unique, in any case. Raises InvalidRequest.

        `of_account` has the caller's own voices by id and name; they come first.
        """
        if (own := of_account.get(name) or self.configured.get(name)) is not None:
            return own
        voices = self.voices()
        matches = [voice for voice in voices if voice.id == name] or [v for v in voices if v.name == name]
        matches = matches or find_without_case(name, of_account.values(), self.configured.offered(), voices)
        if len(matches) == 1:
            return matches[0]
        if matches:
            same = ", ".join(voice.id for voice in matches)
            message = f"The voice name '{name[:80]}' is not unique; use one of the ids: {same}."
        else:
            self.refuse_if_starting(name)
            ids = [*of_account, *(voice.id for voice in voices)]
            message = unknown_voice_message(name, ids)
        raise InvalidRequest(message, param="voice", code="voice_not_found")

    def may_have_voice(self, name: str) -> bool:
        """Tell whether a voice exists, or may be one of an engine that has not been up yet."""
        try:
            self.resolve_voice(name)
        except InvalidRequest:
            return False
        except UpstreamFailed:
            return True
        return True

    def named_speaker(self, voice: routing.Voice, terms: Terms | None) -> NamedSpeaker:
        """Return the speaker of a request that names this voice, but no model and no language."""
        server = self._config.server
        alone = NamedSpeaker(voice, "", first_binding_key(voice))
        if not any(binding.shares for binding in voice.bindings):
            return alone
        try:
            decision = self._decide(voice, server.default_model, server.default_language, terms)
        except (NotFound, UpstreamFailed):
            return alone
        if not decision.candidates:
            return alone
        first = self.with_voice_owners(decision, server.default_model, terms).candidates[0]
        other = first.share.other_gender if first.share else ""
        spoken = (first.model.engine, routing.voice_text(first.voice))
        return NamedSpeaker(replace(voice, gender=other) if other else voice, first.alias_of, spoken)

    def name_order(self, voice: routing.Voice) -> int:
        """Return 0 for the operator's name of a speaker, 1 for an engine's, 2 for OpenAI's. Lists show the
        name with the lowest number."""
        return 1 if voice.id not in self.configured else 2 if voice.id in known_names() else 0

    def with_voice_owners(
        self, decision: routing.Decision, model: str, terms: Terms | None
    ) -> routing.Decision:
        """Return a decision on a request for `model`, with `alias_of` set in its candidates."""
        for candidate in decision.candidates:
            if candidate.share is not None:
                return self._find_name_owners(model, decision.query.language, terms).with_aliases(decision)
        return decision

    def _find_name_owners(self, model: str, tag: str, terms: Terms | None) -> routing.NameOwners:
        """Return the owners of the engines' voices. They are cached until an engine's list changes."""
        revision = self.live.revision
        if self._owners_revision != revision or len(self._owners) >= _MOST_CACHED_OWNERS:
            self._owners_revision, self._owners = revision, {}
        plan_key = None
        if terms is not None:
            plan_key = (terms.engines, terms.local_only, terms.is_paid, terms.is_for_job)
        key = (model, tag, plan_key)
        if (known := self._owners.get(key)) is None:
            voices = [voice for name in known_names() if (voice := self.configured.get(name)) is not None]
            found = routing.find_owners(self._decide(voice, model, tag, terms) for voice in voices)
            known = self._owners[key] = found
        return known

    def _decide(self, voice: routing.Voice, model: str, tag: str, terms: Terms | None) -> routing.Decision:
        query = routing.RoutingQuery(language=tag, source="default")
        return routing.decide(self.find_offer(model, tag), voice, query, terms, routing.Rules(self.licences))

    def missing_bindings(self, voice: routing.Voice) -> list[str]:
        """Return the reasons why engines lack a configured voice that is bound to them."""
        missing = self.configured.missing_bindings(voice.id)
        return [f"{binding.engine} has no voice {routing.voice_text(binding.voice)!r}" for binding in missing]

    def voice_obstacle(self, name: str) -> str:
        """Return why no engine can speak with this voice, or "". The reason is public."""
        return "no engine has it: see voxgate check" if self.configured.is_silent(name) else ""

    def unusable_models(self) -> list[Remark]:
        """Return remarks on models that cannot speak: an engine lacks them, or a licence is not accepted."""
        known = {name: [info.id for info in engine.models()] for name, engine in self.live.items()}
        unlicensed = [
            Remark(
                model.name,
                f"its licence, {model.info.licence!r}, is not accepted: "
                f"engines.{model.engine}.accept_licence",
            )
            for model in self.models()
            if self.licences.obstacle(model.engine, model.info, is_paid=False) == "not_accepted"
        ]
        return [*find_misnamed(self._config, known), *unlicensed]

    def unusable_voices(self) -> list[tuple[str, str]]:
        """Return each configured voice that lacks a binding, with the reason."""
        return [
            (name, f"{binding.engine} does not have it: see voxgate check")
            for name, binding in self.configured.all_missing_bindings()
        ]

    def models_of_alias(self, alias: str) -> list[routing.Model]:
        return self._find_all_models(self._aliases[alias])

    def _find_all_models(self, fulls: Iterable[str]) -> list[routing.Model]:
        return [model for full in fulls for model in self._find_models(full)]

    def _find_models(self, full: str) -> list[routing.Model]:
        engine, slash, id_ = full.partition("/")
        if engine not in self.live:
            return []
        models = self.live[engine].models()
        if not slash:
            return [routing.Model(engine, info) for info in models[:1]]
        return [routing.Model(engine, info) for info in models if info.id == id_]


def _no_step(step: routing.PostStep, *_: object) -> routing.FoundStep:
    return routing.FoundStep(step, lack="this server has no post-steps")
