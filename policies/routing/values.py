"""The values of routing: voices and their bindings, models, routes, and candidates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

import speech_engine
from policies.language import Source, base
from policies.namesakes import Share
from speech_engine import EngineVoice, ModelInfo, Sample, Samples, Trained

PLAIN = "plain"
"""The front-end that is always there and serves every language."""


class Binding(msgspec.Struct, frozen=True):
    """A voice on one engine, as the engine knows it.

    `credential` is the provider account that has the voice; empty is any. An `obstacle` says why the engine
    cannot speak with it now. With `shares`, the language of the text decides which of the engine's voices it
    is, and `voice` is the first of them.
    """

    engine: str
    voice: speech_engine.Voice
    credential: str = ""
    obstacle: str = ""
    shares: tuple[Share, ...] = ()


class Voice(msgspec.Struct, frozen=True, kw_only=True):
    """A voice as routing sees it, from the configuration, an engine's list or the library.

    A `cast` has no bindings: it has names, and the voice that each name speaks with. `samples` are
    recordings: each model that speaks samples has this voice without a binding. Their `language` is only what
    their speaker said, so it does not overrule what a text shows by itself. Of the engines that are not
    local, only `providers` may receive it, and it may be used for `uses` alone; None is all. A `mix` has the
    ids of voices and their weights. Before it is routed, `members` has those voices.
    `account` is the owner. `consent` is the digest of the record by which its speaker agreed, "" without one.
    `clips` are the ids and digests of those recordings that can be erased alone. `trained` has formats, and
    of each the digest of the model that was trained for the voice: each model that takes that format has the
    voice by it.
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

    @property
    def is_recorded(self) -> bool:
        """Whether it comes of recordings: it has no language of its own, but speaks what its engine can."""
        return any(each.samples or each.trained for each in (self, *self.members))

    def trained_for(self, info: ModelInfo) -> str:
        """Return the digest of what was trained of this voice for such a model, or "" if nothing was."""
        return next((digest for name, digest in self.trained if name == info.trained_format), "")

    @property
    def label(self) -> str:
        """The voice in messages: an account's own by its name, since its id tells a person nothing."""
        return self.id if self.account is None else self.name

    def on(self, engine: str) -> Binding | None:
        """Return the binding on an engine. One that can speak now comes first."""
        found = None
        for binding in self.bindings:
            if binding.engine == engine:
                if not binding.obstacle:
                    return binding
                found = found or binding
        return found


def voice_text(voice: speech_engine.Voice) -> str:
    """Return a text for people: the engine's own id, or what the voice is made of."""
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
    """What a route does to speech before anybody hears it: `engine` repeats it in its `voice`, so many
    semitones higher.

    The engine may be named with one of its models, as `engine/model`. With an `emotion`, only what is asked
    for in that is repeated, and whoever speaks first need not know it.
    """

    engine: str
    voice: str
    emotion: str | None = None
    pitch: float = 0.0

    @property
    def when(self) -> str | None:
        """Its condition, as the configuration has it."""
        return None if self.emotion is None else f"emotion:{self.emotion}"


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """The models that speak a language, in order, and the front-end that prepares its texts.

    Candidates are `engine/model`. Without any, the request's own models speak. With `sentences`, the route
    speaks the sentences of its language in texts of several languages. If the request's voice is on none of
    its engines, `voice` speaks them. What they say is repeated by the first step of `post` that is for its
    emotion. A route that `is_shipped` may name models that the engines here do not have.
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
        tags = (lower, base(lower)) if "-" in lower else (lower,)
        return [self._by_tag[each] for each in tags if each in self._by_tag]


class FoundStep(msgspec.Struct, frozen=True):
    """A post-step with the model and the voice that it names, as they are now. Without one of them, `lack`
    says why."""

    step: PostStep
    model: Model | None = None
    voice: Voice | None = None
    lack: str = ""


class PostSpeaker(msgspec.Struct, frozen=True):
    """Who repeats what a candidate speaks: this model, with this voice of its engine, which is that of the
    voice `whose`."""

    model: Model
    voice: speech_engine.Voice
    whose: Voice
    credential: str = ""
    pitch: float = 0.0


class Post(msgspec.Struct, frozen=True):
    """The post-step that a request has on its route, and who repeats it. If nobody can, `error` says why."""

    step: PostStep
    speaker: PostSpeaker | None = None
    error: NoCandidate | None = None


class RoutingQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What a request needs from its candidates. `source` is where its language is known from.

    With `by_sentence`, the request said `auto` in the place of a language. One that `converts` has a
    recording in place of a text: of the engines that are not local, only `receivers` may have that, and None
    is all. With a `post`, what the candidates speak is repeated.
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

    `share` is what the request's voice has here as one of OpenAI's names. With `alias_of`, that is only
    another name for the voice of that name. What it speaks is repeated by `post`, if there is one. `models`
    are both of theirs, and `speaker` names them as an answer does. What it `ignores` is reported by these
    names: for `emotion`, its text has no tags, and `text_key` is its front-end and whether that is so. A
    rule-based model `is_robot` where a natural one could speak, too. `substitute` is the engine's voice, if
    the answer has to tell it.
    """

    model: Model
    voice: speech_engine.Voice
    front_end: str = PLAIN
    credential: str = ""
    share: Share | None = None
    alias_of: str = ""
    post: PostSpeaker | None = None
    is_robot: bool = False
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
        substitute = voice_text(self.voice) if self.is_robot else ""
        if isinstance(self.voice, EngineVoice):
            own = substitute or (self.voice.id if self.alias_of else "")
            substitute = dict(self.model.info.substitutes).get(self.voice.id, own)
        msgspec.structs.force_setattr(self, "models", models)
        msgspec.structs.force_setattr(self, "speaker", speaker)
        msgspec.structs.force_setattr(self, "text_key", (self.front_end, "emotion" in self.ignores))
        msgspec.structs.force_setattr(self, "substitute", substitute)

    @property
    def sound(self) -> tuple[str, speech_engine.Voice, speech_engine.Voice | None, float]:
        """What tells its sound from that of others: its models and voices."""
        if self.post is None:
            return self.speaker, self.voice, None, 0.0
        return self.speaker, self.voice, self.post.voice, self.post.pitch


class NoCandidate(Exception):
    """No model is left. `field` is the request's field that refused the last one, and `code` says why.

    If `is_forbidden`, an engine could speak the request, and the plan, a licence or the consent forbids that.
    With `retry_after_s`, an engine will be able to speak it soon.
    """

    def __init__(
        self,
        field: str,
        code: str,
        message: str,
        *,
        is_forbidden: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.field = field
        self.code = code
        self.message = message
        self.is_forbidden = is_forbidden
        self.retry_after_s = retry_after_s
