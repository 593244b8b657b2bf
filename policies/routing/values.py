"""The values of routing: voices and their bindings, models, routes, and candidates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

import speech_engine
from policies.language import Source, base_tag
from policies.namesakes import NameShare
from speech_engine import EngineVoice, ModelInfo, Sample, Samples, Trained
from speech_engine.names import StandsIn

PLAIN = "plain"
"""The front-end that is always there and serves every language."""


class Binding(msgspec.Struct, frozen=True):
    """A voice on one engine, as the engine knows it.

    `credential` is the provider account that has the voice, "" for any account. `obstacle` says why the
    engine cannot speak with it now. With `shares`, the language of the text selects one of several voices of
    the engine, and `voice` is the first of them. `stands_in` is as in `KnownName`.
    """

    engine: str
    voice: speech_engine.Voice
    credential: str = ""
    obstacle: str = ""
    shares: tuple[NameShare, ...] = ()
    stands_in: StandsIn = ""


class Voice(msgspec.Struct, frozen=True, kw_only=True):
    """A voice as routing sees it, from the configuration, an engine's list or the library.

    A `cast` has no bindings: it pairs each name with the voice that speaks it. `samples` are recordings: a
    model that speaks samples needs no binding for this voice. The language of a recorded voice is only what
    its speaker stated, so the language detected in a text has priority. Only `providers`, among engines that
    are not local, may receive the voice, and only for `uses`; None allows all. A `mix` has the ids of voices
    and their weights; routing fills `members` with these voices. `account` is the owner. `consent` is the
    digest of the speaker's consent record, or "". `clips` are the ids and digests of the recordings that can
    be erased separately. `trained` pairs each format with the digest of a model trained for this voice. If it
    `awaits_words`, the words of a recording are still to be heard.
    """

    id: str
    name: str
    bindings: tuple[Binding, ...] = ()
    language: str | None = None
    gender: str | None = None
    revision: str = ""
    age: str | None = None
    tags: tuple[str, ...] = ()
    description: str = ""
    created: int | None = None
    cast: tuple[tuple[str, str], ...] = ()
    samples: tuple[Sample, ...] = ()
    providers: tuple[str, ...] | None = None
    uses: tuple[str, ...] | None = None
    mix: tuple[tuple[str, float], ...] = ()
    members: tuple[Voice, ...] = ()
    account: str | None = None
    consent: str = ""
    clips: tuple[tuple[str, str], ...] = ()
    trained: tuple[tuple[str, str], ...] = ()
    awaits_words: bool = False

    @property
    def is_recorded(self) -> bool:
        """Whether it is made of recordings. Such a voice speaks every language that its engine speaks."""
        return any(each.samples or each.trained for each in (self, *self.members))

    def trained_for(self, info: ModelInfo) -> str:
        """Return the digest of the model that was trained for this voice in the format of `info`, or ""."""
        return next((digest for name, digest in self.trained if name == info.trained_format), "")

    @property
    def label(self) -> str:
        """The text that names the voice in messages. People know an account's own voice by its name."""
        return self.id if self.account is None else self.name

    def on(self, engine: str) -> Binding | None:
        """Return the binding on an engine. A binding that can speak now comes first."""
        found = None
        for binding in self.bindings:
            if binding.engine == engine:
                if not binding.obstacle:
                    return binding
                found = found or binding
        return found


def voice_text(voice: speech_engine.Voice) -> str:
    """Return a text that names the voice for people: the engine's id, or digests of recordings or of a
    model."""
    if isinstance(voice, EngineVoice):
        return voice.id
    if isinstance(voice, Trained):
        return f"trained:{voice.digest[:12]}"
    if isinstance(voice, Samples):
        return "samples:" + "+".join(sample.digest[:12] for sample in voice.samples)
    return "mix:" + "+".join(f"{voice_text(part)}*{weight:g}" for part, weight in voice.parts)


class Model(msgspec.Struct, frozen=True):
    """A model under its full `name`, which is `engine/model`."""

    engine: str
    info: ModelInfo
    name: str = ""

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "name", f"{self.engine}/{self.info.id}")


class PostStep(msgspec.Struct, frozen=True, kw_only=True):
    """A conversion at the end of a route: `engine` repeats the speech in its `voice`, shifted by `pitch`.

    `engine` may also be one model, as `engine/model`. With an `emotion`, the step applies only to speech in
    that emotion, and the first model does not need to support it.
    """

    engine: str
    voice: str
    emotion: str | None = None
    pitch: float = 0.0

    @property
    def when(self) -> str | None:
        """The condition in the syntax of the configuration."""
        return None if self.emotion is None else f"emotion:{self.emotion}"


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """The models that speak a language, in order, and the front-end that prepares its texts.

    Candidates are `engine/model`. Without candidates, the request's own models speak. With `sentences`, the
    route speaks the sentences of its language in texts of several languages. If none of its engines has the
    request's voice, `voice` speaks instead. The first step of `post` for the request's emotion converts the
    speech. A route that `is_shipped` may name models that are not installed.
    """

    language: str
    candidates: tuple[str, ...] = ()
    front_end: str | None = None
    sentences: bool = False
    voice: str | None = None
    post: tuple[PostStep, ...] = ()
    is_shipped: bool = False

    @property
    def named_models(self) -> tuple[str, ...]:
        """The candidates, and the models that post-steps name."""
        return (*self.candidates, *(step.engine for step in self.post if "/" in step.engine))


class Routes:
    """The routes of a configuration, by language."""

    def __init__(self, routes: Sequence[Route] = ()) -> None:
        self._by_tag = {route.language.lower(): route for route in routes}
        self.all = tuple(routes)

    def __iter__(self) -> Iterator[Route]:
        return iter(self.all)

    def of(self, tag: str) -> list[Route]:
        """Return the routes of a language, the most exact one first.

        If `en-NG` has no route that can be used, the route of `en` speaks it.
        """
        lower = tag.lower()
        tags = (lower, base_tag(lower)) if "-" in lower else (lower,)
        return [self._by_tag[each] for each in tags if each in self._by_tag]


class FoundStep(msgspec.Struct, frozen=True):
    """A post-step with its current model and voice. If one of them is missing, `lack` says why."""

    step: PostStep
    model: Model | None = None
    voice: Voice | None = None
    lack: str = ""


class PostSpeaker(msgspec.Struct, frozen=True):
    """The model that converts the speech of a candidate. `voice` is its engine's form of `named_voice`, the
    voice that the post-step names. If it `is_own`, that is the requested voice, and the candidate speaks with
    a base voice of its engine."""

    model: Model
    voice: speech_engine.Voice
    named_voice: Voice
    credential: str = ""
    pitch: float = 0.0
    is_own: bool = False


class Post(msgspec.Struct, frozen=True):
    """The post-step of a request, with the model that does it. If no model can, `error` says why."""

    step: PostStep
    speaker: PostSpeaker | None = None
    error: NoCandidate | None = None


class RoutingQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The needs of a request. `source` tells how its language was found.

    With `by_sentence`, the request gave `auto` as its language. A request that `converts` has a recording
    instead of a text: among engines that are not local, only `receivers` may get it; None allows all. With a
    `post`, another model converts the speech of the candidates.
    """

    language: str
    source: Source = "request"
    pitch: float = 0.0
    emotion: str | None = None
    by_sentence: bool = False
    converts: bool = False
    receivers: tuple[str, ...] | None = None
    post: Post | None = None


class Candidate(msgspec.Struct, frozen=True):
    """One way to speak a request: this model, with this voice of its engine, under this credential.

    `share` is the engine's voice behind one of OpenAI's names. With `alias_of`, the same voice also has that
    other name. `post` repeats the speech. `models` are the speaking and the repeating model, and `speaker`
    names them as in an answer. `ignores` are the names of the parameters that it does not follow: if
    `emotion` is among them, its text is prepared without tags. `text_key` is its front-end, and whether tags
    are removed. A rule-based model `is_robot` if a natural one could speak, and `is_unasked` if one has the
    voice. `stands_in` is that of `KnownName`. `substitute` is the engine's voice, if answers must state it.
    """

    model: Model
    voice: speech_engine.Voice
    front_end: str = PLAIN
    credential: str = ""
    share: NameShare | None = None
    alias_of: str = ""
    post: PostSpeaker | None = None
    is_robot: bool = False
    is_unasked: bool = False
    stands_in: StandsIn = ""
    models: tuple[Model, ...] = ()
    speaker: str = ""
    ignores: tuple[str, ...] = ()
    text_key: tuple[str, bool] = PLAIN, False
    substitute: str = ""

    def __post_init__(self) -> None:
        models: tuple[Model, ...] = (self.model,)
        speaker = self.model.name
        if self.post is not None:
            models, speaker = (self.model, self.post.model), f"{speaker}, {self.post.model.name}"
        substitute = voice_text(self.voice) if self.is_robot or self.is_unasked else ""
        if self.is_other_speaker:
            substitute = f"{self.model.engine}/{voice_text(self.voice)}"
        if isinstance(self.voice, EngineVoice):
            own = substitute or (self.voice.id if self.alias_of else "")
            substitute = dict(self.model.info.substitutes).get(self.voice.id, own)
        msgspec.structs.force_setattr(self, "models", models)
        msgspec.structs.force_setattr(self, "speaker", speaker)
        msgspec.structs.force_setattr(self, "text_key", (self.front_end, "emotion" in self.ignores))
        msgspec.structs.force_setattr(self, "substitute", substitute)

    @property
    def base(self) -> str:
        """The base voice, as `engine/voice`, that another model repeats in the requested voice, or ""."""
        if self.post is None or not self.post.is_own:
            return ""
        return f"{self.model.engine}/{voice_text(self.voice)}"

    @property
    def is_other_speaker(self) -> bool:
        """Whether another natural speaker speaks in place of the requested one."""
        return self.stands_in in ("same_gender", "other_gender")

    @property
    def needs_note(self) -> bool:
        """Whether an answer by this candidate must say so in its headers."""
        return self.is_robot or self.is_other_speaker

    @property
    def sound(self) -> tuple[str, speech_engine.Voice, speech_engine.Voice | None, float]:
        """The values that decide its sound: its models and voices."""
        if self.post is None:
            return self.speaker, self.voice, None, 0.0
        return self.speaker, self.voice, self.post.voice, self.post.pitch


class NoCandidate(msgspec.Struct):
    """The reason why no model is left. The request's `field` excluded the last model.

    If `is_forbidden`, an engine could speak the request, but the plan, a licence or the consent forbids it.
    If `retry_after_s` is set, an engine will be able to speak the request soon: `engine`, if it was never up.
    """

    field: str
    code: str
    message: str
    is_forbidden: bool = False
    retry_after_s: float | None = None
    engine: str = ""
