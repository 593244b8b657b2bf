"""Which models and voices there are, from config and from the engines' own lists, as routing wants them."""

from __future__ import annotations

from collections.abc import Mapping

from policies.costs import Rate
from policies.routing import Binding, Model, Voice
from proxy.config import Config, VoiceSection
from proxy.engines.live import Engines
from proxy.errors import InvalidRequest, NotFound, UpstreamFailed
from proxy.model_names import Fault, misnamed


class Catalogue:
    """Asks the engines anew each time: a host that comes up later brings its models along."""

    def __init__(self, config: Config, engines: Engines) -> None:
        self._config = config
        self._aliases = config.models
        self._hedges = {name: section.hedge_s for name, section in config.engines.items()}
        self._costs = {name: section.costs for name, section in config.engines.items()}
        self._engines = engines
        self._own = {name: _voice(name, section) for name, section in config.voices.items()}

    def __repr__(self) -> str:
        return f"<Catalogue {len(self._aliases)} aliases, {len(self._own)} voices of our own>"

    @property
    def aliases(self) -> Mapping[str, tuple[str, ...]]:
        return self._aliases

    def models(self) -> list[Model]:
        return [Model(name, info) for name, engine in self._engines.items() for info in engine.models()]

    def resolve_model(self, name: str) -> list[Model]:
        """The models behind an alias, `engine/model`, or an engine's bare name (its first model)."""
        wanted = self._aliases.get(name)
        if wanted is None:
            wanted = (name,)
        found = [model for full in wanted for model in self._named(full)]
        if found:
            return found
        engine = wanted[0].partition("/")[0]
        if engine in self._engines and not self._engines[engine].models():
            # It has never been up, so nobody can say whether it has the model: not a 404, ask again.
            raise UpstreamFailed("The engine is not available right now.", retry_after_s=2.0)
        raise NotFound(
            f"The model '{name[:80]}' does not exist or you do not have access to it.",
            param="model",
            code="model_not_found",
        )

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
            )
            for name, engine in self._engines.items()
            for info in engine.voices()
        ]
        # One of ours takes the place of an engine's of the same id, as it does where a voice is resolved.
        return [*self._own.values(), *(voice for voice in listed if voice.id not in self._own)]

    def resolve_voice(self, wanted: str) -> Voice:
        """By id, then by a name that is unique; never another voice in its place."""
        if (own := self._own.get(wanted)) is not None:
            return own
        voices = self.voices()
        found = [voice for voice in voices if voice.id == wanted] or [v for v in voices if v.name == wanted]
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(voice.id for voice in found)
            message = f"The voice name '{wanted[:80]}' is not unique; use one of the ids: {ids}."
        else:
            message = f"The voice '{wanted[:80]}' does not exist. GET /v1/audio/voices lists those that do."
        raise InvalidRequest(message, param="voice", code="voice_not_found")

    def unusable_models(self) -> list[Fault]:
        """Where the configuration names a model which its engine, now that it can be asked, does not have."""
        known = {name: [info.id for info in engine.models()] for name, engine in self._engines.items()}
        return misnamed(self._config, known)

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
    )
