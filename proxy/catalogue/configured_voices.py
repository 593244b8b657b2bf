"""The voices of the configuration, with the bindings that the engines really have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import NamedTuple

from msgspec.structs import replace

from policies import namesakes
from policies.namesakes import NameShare
from policies.routing import Binding, Voice, voice_text
from proxy.config.config_toml import known_names, voices_to_bind
from proxy.config.reader import names_hint
from proxy.config.sections import VoiceSection
from proxy.engines.engine_list import Engines
from proxy.engines.plugin_instances import known_by
from speech_engine import EngineVoice

_Shares = Mapping[str, tuple[NameShare, ...]] | None  # None: the engine has not been up


class _Bound(NamedTuple):
    """The voices at one revision of the engines' lists. Requests find `voices`, and lists show `offered`. No
    engine has the `silent` ones."""

    revision: int
    voices: Mapping[str, Voice]
    offered: tuple[Voice, ...]
    silent: frozenset[str]


class ConfiguredVoices:
    """The voices of one revision of the configuration.

    A binding is missing if its engine knows all its voices, and this one is not among them. An engine that is
    not up yet, or that knows only some of its voices, may have it. A missing binding is not offered. It is
    tried all the same if the engine may get to know a voice by its use.

    OpenAI's names have no bindings in the configuration. They are bound to the engines that know them. If an
    engine shares its voices among the names, a binding to a name gets the voices that `namesakes` assigns.
    """

    def __init__(self, sections: Mapping[str, VoiceSection], engines: Engines) -> None:
        self._names = {
            name
            for name, section in sections.items()
            if section.is_known_name and known_by(name, engines.names)
        }
        self._unbound = {
            name: _unbound_voice(name, section)
            for name, section in sections.items()
            if name in self._names or not section.is_known_name
        }
        self._engines = engines
        self._last_bound = _Bound(-1, {}, (), frozenset())

    def __contains__(self, name: object) -> bool:
        return name in self._unbound

    def get(self, name: str) -> Voice | None:
        return self._current().voices.get(name)

    def offered(self) -> tuple[Voice, ...]:
        return self._current().offered

    def is_silent(self, name: str) -> bool:
        return name in self._current().silent

    def missing_bindings(self, name: str) -> list[Binding]:
        voice = self._unbound.get(name)
        return [binding for binding in (voice.bindings if voice else ()) if self._is_missing(binding)]

    def all_missing_bindings(self) -> list[tuple[str, Binding]]:
        return [(name, binding) for name in self._unbound for binding in self.missing_bindings(name)]

    def _current(self) -> _Bound:
        """Return the current voices. A voice stays the same object until an engine's list changes."""
        revision = self._engines.revision
        if self._last_bound.revision != revision:
            written = self._bind()
            voices = {name: self._with_bindings(voice, self._may_be_tried) for name, voice in written.items()}
            offered = {
                name: self._with_bindings(voice, lambda each: not self._is_missing(each))
                for name, voice in written.items()
            }
            # A voice that was never bound is not hidden: its engines are not configured.
            bound = {name for name, voice in written.items() if voice.bindings or name in self._names}
            hidden = {name for name in bound if not offered[name].bindings}
            hidden |= {name for name, voice in offered.items() if any(who in hidden for _, who in voice.cast)}
            shown = tuple(voice for name, voice in offered.items() if name not in hidden)
            silent = {name for name in hidden if not (voices[name].bindings or voices[name].cast)}
            self._last_bound = _Bound(revision, voices, shown, frozenset(silent))
        return self._last_bound

    def _bind(self) -> dict[str, Voice]:
        names = self._engines.names
        shares = {engine: self._shares(engine) for engine, known in names.items() if known == "shared"}
        return {
            name: self._bind_name(voice, shares) if name in self._names else _bind_shares(voice, shares)
            for name, voice in self._unbound.items()
        }

    def _bind_name(self, voice: Voice, shares: Mapping[str, _Shares]) -> Voice:
        bindings: list[Binding] = []
        for engine, known in self._engines.names.items():
            if known == "shared":
                named = Binding(engine, EngineVoice(voice.name), stands_in=self._engines.stands_in(engine))
                bindings += _share_bindings(named, shares[engine])
            elif voice.name in known:
                own = known[voice.name]
                bindings.append(Binding(engine, EngineVoice(own.voice), stands_in=own.stands_in))
        return replace(voice, bindings=tuple(bindings))

    def _with_bindings(self, voice: Voice, keeps: Callable[[Binding], bool]) -> Voice:
        """Return a voice with the bindings for which `keeps` is true. An OpenAI name gets the tags of their
        voices, if these are equal."""
        bound_here = tuple(binding for binding in voice.bindings if keeps(binding))
        if voice.id in self._names:
            return replace(voice, bindings=bound_here, tags=self._same_tags(voice.name, bound_here))
        return voice if bound_here == voice.bindings else replace(voice, bindings=bound_here)

    def _same_tags(self, name: str, bindings: Iterable[Binding]) -> tuple[str, ...]:
        known = [self._engines.names[binding.engine] for binding in bindings]
        tags = {() if each == "shared" else each[name].tags for each in known}
        return tags.pop() if len(tags) == 1 else ()

    def _shares(self, engine: str) -> _Shares:
        """Return how an engine's voices are shared among names, or None while it has not been up."""
        if engine not in self._engines or not self._engines[engine].models():
            return None
        written = {
            each.voice for voice in self._unbound.values() for each in voice.bindings if each.engine == engine
        }
        names = {
            name: gender
            for name, gender in known_names().items()
            if name in self._names or EngineVoice(name) in written
        }
        return namesakes.share_names(names, self._engines[engine].voices())

    def _may_be_tried(self, binding: Binding) -> bool:
        return not self._is_missing(binding) or self._engines[binding.engine].tries_unknown_voices

    def _is_missing(self, binding: Binding) -> bool:
        if binding.engine not in self._engines:
            return False
        engine = self._engines[binding.engine]
        unlisted = engine.unlisted_voices
        id_ = voice_text(binding.voice)
        if unlisted is None or id_ in unlisted:
            return False
        return all(info.id != id_ for info in engine.voices())


def _unbound_voice(name: str, section: VoiceSection) -> Voice:
    return Voice(
        id=name,
        name=name,
        bindings=tuple(Binding(engine, EngineVoice(voice)) for engine, voice in section.bindings.items()),
        language=section.language,
        gender=section.gender,
        age=section.age,
        tags=section.tags,
        description=section.description,
        cast=tuple(section.cast.items()),
    )


def _bind_shares(voice: Voice, shares: Mapping[str, _Shares]) -> Voice:
    bound = [
        _share_bindings(each, shares[each.engine])
        if each.engine in shares and voice_text(each.voice) in known_names()
        else [each]
        for each in voice.bindings
    ]
    return replace(voice, bindings=tuple(chain.from_iterable(bound)))


def _share_bindings(binding: Binding, shares: _Shares) -> list[Binding]:
    if shares is None:
        # The engine has not been up, and may have any voice.
        return [binding]
    found = shares.get(voice_text(binding.voice), ())
    return [replace(binding, voice=EngineVoice(found[0].voice), shares=found)] if found else []


def find_without_case(name: str, *lists: Iterable[Voice]) -> list[Voice]:
    """Return the voices of the first list that has some of this name, in any case. The id of a voice at its
    engine counts as a name."""
    lower, of_engine = name.casefold(), ("/", name)
    for voices in lists:
        found = [v for v in voices if v.name.casefold() == lower or v.id.partition("/")[1:] == of_engine]
        if found:
            return [*{voice.id: voice for voice in found}.values()]
    return []


def unknown_voice_message(name: str, known: Iterable[str]) -> str:
    problem = f"The voice '{name[:80]}' does not exist."
    if name in voices_to_bind():
        return (
            f"{problem} The operator of this server can bind it: voxgate voices add {name} --bind minimax=ID."
        )
    return f"{problem} {names_hint(name, known, 'voices')}"
