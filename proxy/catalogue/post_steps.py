"""The current model and voice of a route's post-step."""

from __future__ import annotations

from collections.abc import Mapping

from policies.routing import Binding, FoundStep, Model, PostStep, Voice
from proxy.config.reader import did_you_mean
from proxy.engines.source import LiveEngine
from speech_engine import EngineVoice


def find_step(
    step: PostStep,
    engines: Mapping[str, LiveEngine],
    operator_voices: Mapping[str, Voice],
    configured: Voice | None,
) -> FoundStep:
    """Find the model and the voice of a step: a saved or configured voice of the operator, or one of the
    engine.

    `operator_voices` are the operator's saved voices by id and name. `configured` is the configured voice of
    this name. An account's own voices never count, because the step is the operator's.
    """
    name, _, id_ = step.engine.partition("/")
    if name not in engines:
        return FoundStep(step, lack=f"no [engines.{name}] for {step.engine}")
    engine = engines[name]
    models = [Model(name, info) for info in engine.models()]
    if not models:
        return FoundStep(step, lack=f"{name} is {engine.state}, so {step.engine} is not there")
    named = [model for model in models if model.info.id == id_] if id_ else models
    if not named:
        known = [model.info.id for model in models]
        return FoundStep(step, lack=f"{name} has no model of {step.engine!r}; {did_you_mean(id_, known)}")
    # An engine stands for the first of its models that can do it.
    model = next((each for each in named if each.info.converts), named[0])
    voice = operator_voices.get(step.voice) or configured or _find_engine_voice(name, engine, step.voice)
    if voice is None:
        return FoundStep(step, model, lack=f"there is no voice {step.voice!r} for {model.name}")
    return FoundStep(step, model, voice)


def _find_engine_voice(name: str, engine: LiveEngine, written: str) -> Voice | None:
    """Return a voice of the engine by its id or `engine/id`, or None if the engine surely lacks it.
    One whose `unlisted_voices` is None may have any."""
    id_ = written.removeprefix(f"{name}/")
    unlisted = engine.unlisted_voices
    if unlisted is not None and id_ not in unlisted and all(info.id != id_ for info in engine.voices()):
        return None
    return Voice(id=f"{name}/{id_}", name=id_, bindings=(Binding(name, EngineVoice(id_)),))
