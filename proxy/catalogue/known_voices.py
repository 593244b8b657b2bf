"""All voices that a caller may speak with: by id, by name, and by the languages that their engines speak."""

from __future__ import annotations

from collections import Counter, defaultdict

from policies import routing
from policies.language import base
from policies.routing import Voice
from proxy.catalogue.catalogue import Catalogue
from proxy.catalogue.library import AccountLibrary
from proxy.catalogue.library_editor import no_voice
from speech_engine import ModelInfo


class KnownVoices:
    """The caller's own come first."""

    def __init__(self, own: AccountLibrary, catalogue: Catalogue) -> None:
        listed = catalogue.voices()
        self.voices = [*own.listed, *listed]
        self._own = own
        self._by_id = {voice.id: voice for voice in listed}
        names = Counter(voice.name for voice in listed)
        self._by_name = {voice.name: voice for voice in listed if names[voice.name] == 1}
        self._models: defaultdict[str, list[ModelInfo]] = defaultdict(list)
        for model in catalogue.models():
            self._models[model.engine].append(model.info)
        self._spoken: dict[tuple[str, str], bool] = {}

    def __repr__(self) -> str:
        return f"<KnownVoices {len(self.voices)}>"

    def named(self, wanted: str) -> Voice:
        """By id or name, found as it is for a speech; raises NotFound."""
        found = self._own.voices.get(wanted) or self._by_id.get(wanted) or self._by_name.get(wanted)
        if found is None:
            raise no_voice(wanted)
        return found

    def engines(self, voice: Voice) -> list[str]:
        """A cast is on those of its voices."""
        bindings = [binding for each in self._speaking(voice) for binding in each.bindings]
        return list(dict.fromkeys(binding.engine for binding in bindings))

    def in_language(self, tag: str) -> list[Voice]:
        """`pt` finds `pt-BR`; a voice without a language has any that one of its engines speaks."""
        wanted = tag.lower()
        return [
            voice
            for voice in self.voices
            if (voice.language is None or wanted in (voice.language.lower(), base(voice.language)))
            and self.may_speak(voice, tag)
        ]

    def may_speak(self, voice: Voice, tag: str) -> bool:
        """Not where all engines of the voice refuse the language. One that is down now may speak it later."""
        engines = self.engines(voice)
        return not engines or any(self._speaks(engine, tag) for engine in engines)

    def _speaks(self, engine: str, tag: str) -> bool:
        known = self._spoken.get((engine, tag))
        if known is None:
            infos = self._models[engine]
            known = not infos or any(routing.speaks(info, tag) for info in infos)
            self._spoken[engine, tag] = known
        return known

    def _speaking(self, voice: Voice) -> list[Voice]:
        """Itself, or the members of a cast that are there, found as they are for a speech."""
        if not voice.cast:
            return [voice]
        members = self._own.members(voice)
        wanted = [id_ for _, id_ in voice.cast]
        found = [members.get(each) or self._by_id.get(each) or self._by_name.get(each) for each in wanted]
        return [each for each in found if each is not None]
