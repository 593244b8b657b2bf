"""The samples that a server should have now, in the order in which they are to be made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Literal, NamedTuple

import msgspec

from policies.language import base_tag
from policies.routing import Model, speaks
from proxy.catalogue.catalogue import Catalogue
from proxy.engines.source import LiveEngine
from proxy.errors import RequestFailed
from proxy.features.samples.section import SamplesSection
from proxy.features.samples.texts import FRONT_LANGUAGES, front_text, sample_text
from proxy.speech.call import SpeechCall
from speech_engine import EngineVoice, VoiceInfo

FORMAT = "mp3"
_DIGITS = 40
_OF_FRONT, _TRAINED, _BY_RULES = range(3)  # the ranks of wanted samples

EngineVoiceId = tuple[str, str]
"""An engine, and its id of a voice."""


class WantedSample(NamedTuple):
    """A sample to make: a text, its model, and the engine's voice. A low `rank` comes first. A robot's model
    is not trained."""

    engine: str
    model: str
    voice: str
    language: str
    kind: Literal["voice", "long"]
    text: str
    gender: str | None
    is_trained: bool
    is_of_front: bool
    rank: int


def digest_of(order: WantedSample, call: SpeechCall) -> str:
    """Return the digest that names a sample. It covers text, voice, model, mark and format."""
    (part,) = call.plan.parts
    candidate = part.candidates[0]
    treatment = call.plan.treatment_of(candidate.speaker)
    made_of = (
        (order.text, order.language, order.engine, order.voice, order.kind, FORMAT),
        (candidate.model.name, candidate.model.info.digest, candidate.front_end),
        None if treatment is None or treatment.filter is None else treatment.filter.key,
        call.form.source,
    )
    return sha256(msgspec.msgpack.encode(made_of, order="deterministic")).hexdigest()[:_DIGITS]


class WantedSamples:
    """The samples that one revision of the configuration wants. `front` returns the names of the voices that
    the front shows now; `named` are those that [front] names."""

    def __init__(
        self,
        catalogue: Catalogue,
        section: SamplesSection,
        front: Callable[[], Collection[str]],
        named: Sequence[str],
        default_voice: str | None,
    ) -> None:
        self._catalogue = catalogue
        self._section = section
        self._front = front
        self._named = named
        self._default_voice = default_voice
        # Each is a key and the voices for it. They are found again when the key has changed.
        self._shown: tuple[object, list[EngineVoiceId]] = (None, [])
        self._wanted: tuple[object, frozenset[EngineVoiceId]] = (None, frozenset())

    @property
    def revision(self) -> object:
        """A value that changes when other voices may be wanted."""
        live = self._catalogue.live
        states = tuple([engine.state for _, engine in live.items()])
        return live.revision, states, tuple(self.front_voices())

    def wanted_voices(self) -> frozenset[EngineVoiceId]:
        """Return the engines' voices that should have a sample now."""
        if self._wanted[0] != (revision := self.revision):
            self._wanted = revision, frozenset([(each.engine, each.voice) for each in self.in_order()])
        return self._wanted[1]

    def front_voices(self) -> list[EngineVoiceId]:
        """Return the engines' voices that the front shows, in its order. Each visit of the front calls it."""
        names = (*self._named, *self._front())
        key = (self._catalogue.live.revision, names)
        if self._shown[0] != key:
            self._shown = key, self._bound_voices(names)
        return self._shown[1]

    def has_known_voices(self, engine: str) -> bool:
        """Tell whether all voices of an engine are known now, so that samples of others can go. An engine
        that is not configured has no voices."""
        live = self._catalogue.live
        return engine not in live or live[engine].state == "ready"

    def in_order(self) -> list[WantedSample]:
        """Return the wanted samples. Of a paid engine, only voices that [front] names have one."""
        front, named = self.front_voices(), set(self._bound_voices(self._named))
        found: dict[tuple[str, str, str], WantedSample] = {}
        for name, engine in self._catalogue.live.items():
            is_paid = name in self._section.paid
            for model, voice in self._usable_voices(name, engine, is_free=not is_paid):
                if not is_paid or (name, voice.id) in named:
                    for order in _short_samples(model, voice, front):
                        found.setdefault((name, voice.id, order.language), order)
        longs = (self._long_sample(found.values(), tag, front) for tag in FRONT_LANGUAGES)
        return [*(each for each in longs if each), *sorted(found.values(), key=lambda each: each.rank)]

    def _usable_voices(
        self, name: str, engine: LiveEngine, *, is_free: bool
    ) -> Iterator[tuple[Model, VoiceInfo]]:
        """Yield each pair of a model and a voice that can speak now. `is_free`: only local models without a
        price."""
        for info in () if engine.state != "ready" else engine.models():
            model = Model(name, info)
            is_usable = info.speaks and not info.runner
            if is_usable and (
                not is_free or (info.is_local and self._catalogue.provider_rate(model) is None)
            ):
                for voice in engine.voices():
                    yield model, voice

    def _long_sample(
        self, found: Iterable[WantedSample], tag: str, front: Sequence[EngineVoiceId]
    ) -> WantedSample | None:
        """Return the longer sample of a language. Its voice is the first one of the front,
        else the default voice of the server, else any with a trained model."""
        of_tag = [each for each in found if base_tag(each.language) == base_tag(tag)]
        natural = [each for each in of_tag if each.is_trained]
        preferred = [*front, *self._bound_voices([self._default_voice or ""])]
        ranks = {voice: rank for rank, voice in reversed([*enumerate(preferred)])}
        first = min(
            natural, key=lambda each: ranks.get((each.engine, each.voice), len(preferred)), default=None
        )
        if first is None:
            return None
        return first._replace(kind="long", text=front_text(tag), is_of_front=True, rank=_OF_FRONT)

    def _bound_voices(self, names: Sequence[str]) -> list[EngineVoiceId]:
        found: list[EngineVoiceId] = []
        for name in dict.fromkeys(names):
            try:
                bindings = self._catalogue.resolve_voice(name).bindings if name else ()
            except RequestFailed:
                continue
            found += [
                (each.engine, each.voice.id) for each in bindings[:1] if isinstance(each.voice, EngineVoice)
            ]
        return found


def _short_samples(model: Model, voice: VoiceInfo, front: Sequence[EngineVoiceId]) -> Iterator[WantedSample]:
    """Yield the short samples of a voice: in its language, or in those of the front if it has none."""
    is_of_front = (model.engine, voice.id) in front
    for tag in [voice.language] if voice.language else FRONT_LANGUAGES:
        if (text := sample_text(tag)) and speaks(model.info, tag):
            yield WantedSample(
                engine=model.engine,
                model=model.name,
                voice=voice.id,
                language=tag,
                kind="voice",
                text=text,
                gender=voice.gender,
                is_trained=model.info.is_trained,
                is_of_front=is_of_front,
                rank=_OF_FRONT if is_of_front else _TRAINED if model.info.is_trained else _BY_RULES,
            )
