"""The voices of the configuration, with those of their bindings that the engines really have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from policies.routing import Binding, Voice, voice_text
from proxy.config.sections import VoiceSection
from proxy.engines.engine_list import Engines
from speech_engine import EngineVoice


class _Bound(NamedTuple):
    """The voices at one revision of the engines' lists: as requests find them, and as they are offered.

    No engine has those in `silent`.
    """

    revision: int
    voices: Mapping[str, Voice]
    offered: tuple[Voice, ...]
    silent: frozenset[str]


class ConfiguredVoices:
    """The voices of one revision of the configuration.

    A binding is missing if its engine knows all its voices, and this one is not among them. An engine that is
    not up yet, or that knows only some, may have it. A missing binding is offered to nobody. It is tried all
    the same if the engine may learn a voice by its use.
    """

    def __init__(self, sections: Mapping[str, VoiceSection], engines: Engines) -> None:
        self._written = {name: _voice(name, section) for name, section in sections.items()}
        self._engines = engines
        self._kept = _Bound(-1, {}, (), frozenset())

    def __repr__(self) -> str:
        return f"<ConfiguredVoices {len(self._written)}>"

    def __contains__(self, name: object) -> bool:
        return name in self._written

    def get(self, name: str) -> Voice | None:
        """Return a voice with the bindings that may be tried; there may be none."""
        return self._bound().voices.get(name)

    def offered(self) -> tuple[Voice, ...]:
        """Return the voices that an engine has, and the casts whose members are such voices."""
        return self._bound().offered

    def is_silent(self, name: str) -> bool:
        return name in self._bound().silent

    def missing(self, name: str) -> list[Binding]:
        """Return the bindings of a voice that are missing."""
        voice = self._written.get(name)
        return [binding for binding in (voice.bindings if voice else ()) if self._is_missing(binding)]

    def all_missing(self) -> list[tuple[str, Binding]]:
        return [(name, binding) for name in self._written for binding in self.missing(name)]

    def _bound(self) -> _Bound:
        """Return the voices as they are now. A voice stays the same object until an engine's list changes."""
        revision = self._engines.revision
        if self._kept.revision != revision:
            voices = {name: _keep(voice, self._is_tried) for name, voice in self._written.items()}
            offered = {name: _keep(voice, self._is_there) for name, voice in self._written.items()}
            # A voice that has no binding at all is another matter: its engines are not configured.
            bound = {name for name, voice in self._written.items() if voice.bindings}
            hidden = {name for name in bound if not offered[name].bindings}
            hidden |= {name for name, voice in offered.items() if any(who in hidden for _, who in voice.cast)}
            shown = tuple(voice for name, voice in offered.items() if name not in hidden)
            silent = {name for name in hidden if not (voices[name].bindings or voices[name].cast)}
            self._kept = _Bound(revision, voices, shown, frozenset(silent))
        return self._kept

    def _is_there(self, binding: Binding) -> bool:
        return not self._is_missing(binding)

    def _is_tried(self, binding: Binding) -> bool:
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


def _keep(voice: Voice, is_kept: Callable[[Binding], bool]) -> Voice:
    kept = tuple(binding for binding in voice.bindings if is_kept(binding))
    return voice if kept == voice.bindings else replace(voice, bindings=kept)


def _voice(name: str, section: VoiceSection) -> Voice:
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
