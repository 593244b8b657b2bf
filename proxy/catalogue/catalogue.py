"""Which models and voices there are, from config and from the engines' own lists, as routing wants them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from policies.costs import Rate
from policies.licence import AcceptedLicence, Licences
from policies.plans import Terms
from policies.routing import Binding, Model, Offer, Route, Routes, RoutingResult, Voice, is_open
from proxy.config.config_toml import Config, VoiceSection
from proxy.config.model_names import ModelNameFault, misnamed
from proxy.config.reader import hint
from proxy.engines.engine_list import Engines
from proxy.errors import InvalidRequest, NotFound, UpstreamFailed

_NO_VOICES: Mapping[str, Voice] = {}


class Catalogue:
    """Asks the engines anew each time: a host that comes up later brings its models along."""

    def __init__(self, config: Config, engines: Engines) -> None:
        self._config = config
        self._aliases = config.models
        self._hedges = {name: section.hedge_s for name, section in config.engines.items()}
        self._costs = {name: section.costs for name, section in config.engines.items()}
        self._engines = engines
        self._own = {name: _voice(name, section) for name, section in config.voices.items()}
        self._routes = Routes(config.routes)
        self.licences = Licences(
            config.server.commercial,
            {
                name: AcceptedLicence(section.accept_licence, section.paid_use_basis)
                for name, section in config.engines.items()
            },
        )

    def __repr__(self) -> str:
        return f"<Catalogue {len(self._aliases)} aliases, {len(self._own)} voices of our own>"

    @property
    def routes(self) -> Routes:
        return self._routes

    def models(self) -> list[Model]:
        return [Model(name, info) for name, engine in self._engines.items() for info in engine.models()]

    def listed(self, terms: Terms | None) -> tuple[list[str], list[Model]]:
        """The aliases and the models that a plan may use; without terms, those that anybody may know of."""
        listed = [model for model in self.models() if is_open(model, terms, self.licences)]
        names = {model.name for model in listed}
        engines = None if terms is None else terms.engines
        # Of an engine that has not been up yet nobody can say what it has.
        waiting = {
            name
            for name, engine in self._engines.items()
            if not engine.models() and (engines is None or name in engines)
        }

        def may_speak(full: str) -> bool:
            return full in names or full.partition("/")[0] in waiting

        # A route may speak for any alias.
        is_routed = any(may_speak(full) for route in self._routes for full in route.candidates)
        aliases = [alias for alias, fulls in self._aliases.items() if is_routed or any(map(may_speak, fulls))]
        return aliases, listed

    def offer(self, name: str, tag: str) -> Offer:
        """What a model's name stands for in a request of this language; raises as `resolve_model`."""
        routed = self._routed(tag)
        is_pinned = name not in self._aliases
        if routed is not None and routed.models and not is_pinned:
            # What the alias lists is not asked, and may well be down.
            return Offer(models=(), routed=routed)
        return Offer(models=tuple(self.resolve_model(name)), is_pinned=is_pinned, routed=routed)

    def _routed(self, tag: str) -> RoutingResult | None:
        """The route of this language that can be used: one with none of its candidates is not there."""
        for route in self._routes.of(tag):
            models = tuple(self._all_named(route.candidates))
            if models or not route.candidates:
                return RoutingResult(route, models)
        return None

    def missing(self, route: Route) -> list[str]:
        """Of a route's candidates those that are not there just now, each with the reason."""
        return [self._why_missing(full) for full in route.candidates if not self._named(full)]

    def _why_missing(self, full: str) -> str:
        engine, _, model = full.partition("/")
        if engine not in self._engines:
            return f"no [engines.{engine}] for {full}"
        known = [info.id for info in self._engines[engine].models()]
        if not known:
            return f"{engine} is {self._engines[engine].state}, so {full} is not there"
        return f"{engine} has no model of {full!r}; {hint(model, known)}"

    def is_coming(self, name: str, tag: str) -> bool:
        """Whether a route that may speak for this alias has candidates whose engine is only just starting."""
        if name not in self._aliases:
            return False
        engines = {full.partition("/")[0] for route in self._routes.of(tag) for full in route.candidates}
        return any(
            engine in self._engines
            and self._engines[engine].state != "failed"
            and not self._engines[engine].models()
            for engine in engines
        )

    def resolve_model(self, name: str) -> list[Model]:
        """The models behind an alias, `engine/model`, an engine's bare name (its first model), or a model's
        own id, on every engine that has it."""
        wanted = self._aliases.get(name)
        if wanted is None:
            wanted = (name,)
        found = self._all_named(wanted) or [model for model in self.models() if model.info.id == name]
        if found:
            return found
        self._check_known(wanted[0])
        raise NotFound(
            f"The model '{name[:80]}' does not exist or you do not have access to it.",
            param="model",
            code="model_not_found",
        )

    def _check_known(self, full: str) -> None:
        """Of an engine that has never been up nobody can say what it has: not its absence, but ask again."""
        engine = full.partition("/")[0]
        if engine in self._engines and not self._engines[engine].models():
            raise UpstreamFailed("The engine is not available right now.", retry_after_s=2.0)

    def hedge_s(self, engine: str) -> float:
        """After so long without audio from it the next candidate is asked too; 0 for never."""
        return self._hedges.get(engine, 0.0)

    def rate(self, model: Model) -> Rate | None:
        """What its provider takes, where the configuration says."""
        of_engine = self._costs.get(model.engine, {})
        return of_engine.get(model.info.id) or of_engine.get("*")

    def voices(self) -> list[Voice]:
        listed = [
            Voice(
                id=f"{name}/{info.id}",
                name=info.name,
                bindings=(Binding(name, info.id),),
                language=info.language,
                gender=info.gender,
                age=info.age,
                tags=info.tags,
                description=info.description,
            )
            for name, engine in self._engines.items()
            for info in engine.voices()
        ]
        # One of ours takes the place of an engine's of the same id, as it does where a voice is resolved.
        return [*self._own.values(), *(voice for voice in listed if voice.id not in self._own)]

    def resolve_voice(self, wanted: str, of_account: Mapping[str, Voice] = _NO_VOICES) -> Voice:
        """By id, then by a name that is unique; never another voice in its place. `of_account` has the
        caller's own voices under their ids and names, which come first."""
        if (own := of_account.get(wanted) or self._own.get(wanted)) is not None:
            return own
        voices = self.voices()
        found = [voice for voice in voices if voice.id == wanted] or [v for v in voices if v.name == wanted]
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(voice.id for voice in found)
            message = f"The voice name '{wanted[:80]}' is not unique; use one of the ids: {ids}."
        else:
            self._check_known(wanted)
            message = f"The voice '{wanted[:80]}' does not exist. GET /v1/audio/voices lists those that do."
        raise InvalidRequest(message, param="voice", code="voice_not_found")

    def unusable_models(self) -> list[ModelNameFault]:
        """Where the configuration names a model which its engine, now that it can be asked, does not have."""
        known = {name: [info.id for info in engine.models()] for name, engine in self._engines.items()}
        return [*misnamed(self._config, known), *self._unlicensed()]

    def _unlicensed(self) -> list[ModelNameFault]:
        """Those that serve nobody before the operator has accepted their licence."""
        return [
            ModelNameFault(
                model.name,
                f"its licence, {model.info.licence!r}, is not accepted: "
                f"engines.{model.engine}.accept_licence",
            )
            for model in self.models()
            if self.licences.obstacle(model.engine, model.info, is_paid=False) == "not_accepted"
        ]

    def unusable_voices(self) -> list[tuple[str, str]]:
        """The same of config voices, for engines that list theirs."""
        found = []
        for voice in self._own.values():
            for binding in voice.bindings:
                engine = binding.engine
                known = (
                    {info.id for info in self._engines[engine].voices()} if engine in self._engines else set()
                )
                if known and binding.engine_voice not in known:
                    found.append((voice.id, f"{engine} has no voice {binding.engine_voice!r}"))
        return found

    def _all_named(self, fulls: Iterable[str]) -> list[Model]:
        models: list[Model] = []
        for full in fulls:
            models += self._named(full)
        return models

    def _named(self, full: str) -> list[Model]:
        engine, slash, id_ = full.partition("/")
        if engine not in self._engines:
            return []
        models = self._engines[engine].models()
        if not slash:
            return [Model(engine, info) for info in models[:1]]
        return [Model(engine, info) for info in models if info.id == id_]


def _voice(name: str, section: VoiceSection) -> Voice:
    return Voice(
        id=name,
        name=name,
        bindings=tuple(Binding(engine, voice) for engine, voice in section.bindings.items()),
        language=section.language,
        gender=section.gender,
        age=section.age,
        tags=section.tags,
        description=section.description,
        cast=tuple(section.cast.items()),
    )
