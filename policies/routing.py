"""Who could speak a request: an ordered list of candidates, or the name of the filter that emptied it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from policies import language
from policies.plans import Terms
from speech_engine import ANY_LANGUAGE, Language, ModelInfo


class Binding(msgspec.Struct, frozen=True):
    """A voice on one engine, by the engine's own id."""

    engine: str
    engine_voice: str


class Voice(msgspec.Struct, frozen=True, kw_only=True):
    """A voice as routing sees it, wherever it came from: config, an engine's list, the library."""

    id: str
    name: str
    bindings: tuple[Binding, ...]
    language: str | None = None
    gender: str | None = None

    def on(self, engine: str) -> str | None:
        return next((binding.engine_voice for binding in self.bindings if binding.engine == engine), None)


class Model(msgspec.Struct, frozen=True):
    """A model under its full name, `engine/model`."""

    engine: str
    info: ModelInfo

    @property
    def name(self) -> str:
        return f"{self.engine}/{self.info.id}"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a request asks of whoever speaks it."""

    language: str
    pitch: float = 0.0
    emotion: str | None = None


class Candidate(msgspec.Struct, frozen=True):
    """One way to speak a request: this model, with this voice of its engine."""

    model: Model
    engine_voice: str
    front_end: str = "plain"


class NoCandidate(Exception):
    """Nobody is left; `field` is the request's field that emptied the list, `code` says how. `is_forbidden`
    where the engines could, and the plan does not let them."""

    def __init__(self, field: str, code: str, message: str, *, is_forbidden: bool = False) -> None:
        super().__init__(message)
        self.field = field
        self.code = code
        self.message = message
        self.is_forbidden = is_forbidden


def candidates(
    models: Sequence[Model], voice: Voice, wanted: Wanted, terms: Terms | None = None
) -> tuple[Candidate, ...]:
    """The models in their order, less those that lack the voice, that the plan leaves out, or that lack the
    language, the pitch or the emotion."""
    bound = [model for model in models if voice.on(model.engine) is not None]
    if not bound:
        where = ", ".join(sorted({binding.engine for binding in voice.bindings}))
        names = ", ".join(model.name for model in models)
        raise NoCandidate(
            "voice", "voice_not_available", f"The voice '{voice.id}' is on {where}, not on {names}."
        )
    bound = bound if terms is None else _allowed(bound, terms)
    speaking = [model for model in bound if speaks(model.info, wanted.language)]
    if not speaking:
        raise NoCandidate("language", "unsupported_language", _unspoken(bound, wanted.language))
    left = [model for model in speaking if model.info.pitch[0] <= wanted.pitch <= model.info.pitch[1]]
    if not left:
        low, high = speaking[0].info.pitch
        raise NoCandidate(
            "pitch", "unsupported_value", f"'pitch' must be from {low:g} to {high:g} on {speaking[0].name}."
        )
    if wanted.emotion is not None:
        left = [model for model in left if wanted.emotion in model.info.emotions]
        if not left:
            known = ", ".join(speaking[0].info.emotions) or "none"
            message = f"'emotion' is not one that {speaking[0].name} can express; it knows: {known}."
            raise NoCandidate("emotion", "unsupported_value", message)
    return tuple(Candidate(model, voice.on(model.engine) or "") for model in left)


def is_allowed(model: Model, terms: Terms) -> bool:
    """Whether the plan lets this model speak."""
    if terms.local_only and not model.info.is_local:
        return False
    return terms.engines is None or model.engine in terms.engines


def _allowed(models: Sequence[Model], terms: Terms) -> list[Model]:
    found = [model for model in models if is_allowed(model, terms)]
    if not found:
        names = ", ".join(model.name for model in models)
        raise NoCandidate(
            "model",
            "model_not_allowed",
            f"Your plan '{terms.plan}' does not have {names}.",
            is_forbidden=True,
        )
    return found


def speaks(info: ModelInfo, tag: str) -> bool:
    """Whether the model speaks the language acceptably; a region falls back to its base language."""
    found = find_language(info, tag)
    return found is not None and found.quality != "poor"


def find_language(info: ModelInfo, tag: str) -> Language | None:
    wanted = tag.lower()
    by_tag = {known.tag.lower(): known for known in info.languages}
    return by_tag.get(wanted) or by_tag.get(language.base(wanted)) or by_tag.get(ANY_LANGUAGE)


def _unspoken(models: Sequence[Model], tag: str) -> str:
    spoken = sorted(
        {known.tag for model in models for known in model.info.languages if known.quality != "poor"}
    )
    names = ", ".join(model.name for model in models)
    return f"{names} cannot speak the language '{tag}' well enough; it speaks: {', '.join(spoken)}."
