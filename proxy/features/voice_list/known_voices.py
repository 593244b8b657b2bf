"""The voices that a caller may speak with, by id, by name, and by language."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from policies import routing
from policies.language import base_tag
from policies.plans import Terms
from policies.routing import Model, Voice, may_receive
from proxy.catalogue.catalogue import Catalogue
from proxy.catalogue.configured_voices import unknown_voice_message
from proxy.catalogue.library import AccountLibrary
from proxy.catalogue.own_voices import LibraryVoice
from proxy.errors import NotFound
from proxy.speech_steps.base_voices import BaseVoices, find_repeaters
from speech_engine import ModelInfo


class KnownVoices:
    """The voices of one caller, whose own come first. Without terms, they are those of the public list."""

    def __init__(self, own: AccountLibrary, catalogue: Catalogue, terms: Terms | None = None) -> None:
        entries = [catalogue.named_speaker(voice, terms) for voice in catalogue.voices()]
        listed = [each.voice for each in entries]
        self._aliases = {each.voice.id: each.alias_of for each in entries if each.alias_of}
        # The names of each speaker, the one that lists show first.
        names_of: defaultdict[tuple[str, str], list[Voice]] = defaultdict(list)
        for each in entries:
            if each.spoken is not None:
                names_of[each.spoken].append(each.voice)
        for same in names_of.values():
            same.sort(key=catalogue.name_order)
        self._speakers = {voice.id: same[0].id for same in names_of.values() for voice in same}
        self.voices = [*own.listed, *listed]
        self._own = own
        self._catalogue = catalogue
        self._by_id = {voice.id: voice for voice in listed}
        names = Counter(voice.name for voice in listed)
        self._by_name = {voice.name: voice for voice in listed if names[voice.name] == 1}
        self._models: defaultdict[str, list[ModelInfo]] = defaultdict(list)
        for model in catalogue.models():
            self._models[model.engine].append(model.info)
        self._speaks_cache: dict[tuple[str, str], bool] = {}
        self._usable = catalogue.usable_models(terms)
        self._bases = BaseVoices(catalogue, own)

    def voice_named(self, name: str) -> Voice:
        """Return a voice by id or name, as a speech request would find it. Raises NotFound, and
        UpstreamFailed if an engine that is starting may have it."""
        voice = self._own.voices.get(name) or self._by_id.get(name) or self._by_name.get(name)
        if voice is None:
            self._catalogue.refuse_if_starting(name)
            raise voice_not_found(name, (each.id for each in self.voices))
        return voice

    def saved_record(self, voice: Voice) -> LibraryVoice | None:
        """Return the saved record of a voice, or None if the configuration or an engine has it."""
        found = self._own.saved(voice.id)
        return found if found is not None and found.voice is voice else None

    def alias_of(self, voice: Voice) -> str:
        """Return the name that owns the engine's voice, if this is only another name for it, else ""."""
        return self._aliases.get(voice.id, "")

    def listed_id(self, voice: Voice) -> str:
        """Return the id under which lists show the speaker of a voice, or "" for an account's own voice."""
        return "" if self.saved_record(voice) else self._speakers.get(voice.id, voice.id)

    def is_own(self, voice: Voice) -> bool:
        found = self.saved_record(voice)
        return found is not None and found.row.account is not None

    def engines(self, voice: Voice) -> list[str]:
        """Return the engines that speak with a voice. A cast has those of its members."""
        return list(
            dict.fromkeys(engine for each in self._members_or_self(voice) for engine in self._engines(each))
        )

    def _engines(self, voice: Voice) -> list[str]:
        if voice.mix:
            members = [member for name, _ in voice.mix if (member := self._member(voice, name)) is not None]
            able = [set(self._engines(member)) for member in members if not member.mix]
            common = set.intersection(*able) if len(able) == len(voice.mix) else set()
            mixers = [engine for engine, infos in self._models.items() if any(info.mixes for info in infos)]
            return [engine for engine in mixers if engine in common]
        bound = [binding.engine for binding in voice.bindings]
        if not (voice.samples or voice.trained):
            return bound
        return bound + [
            engine
            for engine, infos in self._models.items()
            if any(
                (voice.trained_for(info) or (info.speaks_samples and voice.samples))
                and may_receive(voice, Model(engine, info))
                for info in infos
            )
        ]

    def through(self, voice: Voice) -> dict[str, list[str]]:
        """Return the languages that an engine speaks for a voice which no model here speaks in them: another
        model repeats the engine's own voice."""
        found: dict[str, list[str]] = {}
        own = self.engines(voice)
        for model in self._base_models(voice):
            for tag in routing.spoken_languages(model.info):
                tags = found.setdefault(model.engine, [])
                is_spoken = tag in tags or any(self._speaks(engine, tag) for engine in own)
                if not is_spoken and self._bases.find(model.engine, tag, voice.gender) is not None:
                    tags.append(tag)
        return {engine: tags for engine, tags in found.items() if tags}

    def _base_models(self, voice: Voice) -> list[Model]:
        """Return the models whose speech another model can repeat in a voice."""
        if not voice.is_recorded or voice.mix:
            return []
        repeaters = {each.engine for each in find_repeaters(voice, self._catalogue) if each in self._usable}
        return [each for each in self._usable if repeaters and each.engine not in repeaters]

    def voices_in_language(self, tag: str) -> list[Voice]:
        """Return the voices of a language. `pt` finds `pt-BR`, too.

        After them come voices that can speak it without being made for it: voices without a language, and
        recorded voices in another language.
        """
        lower = tag.lower()
        of_language: list[Voice] = []
        of_any: list[Voice] = []
        for voice in self.voices:
            if voice.language and lower in (voice.language.lower(), base_tag(voice.language)):
                of_language.append(voice)
            elif voice.language is None or (voice.is_recorded and self.engines(voice)):
                of_any.append(voice)
        return [voice for voice in (*of_language, *of_any) if self.may_speak(voice, tag)]

    def may_speak(self, voice: Voice, tag: str) -> bool:
        engines = self.engines(voice)
        if not engines or any(self._speaks(engine, tag) for engine in engines):
            return True
        return any(
            routing.speaks(each.info, tag) and self._bases.find(each.engine, tag, voice.gender) is not None
            for each in self._base_models(voice)
        )

    def _speaks(self, engine: str, tag: str) -> bool:
        known = self._speaks_cache.get((engine, tag))
        if known is None:
            infos = self._models[engine]
            known = not infos or any(info.speaks and routing.speaks(info, tag) for info in infos)
            self._speaks_cache[engine, tag] = known
        return known

    def _members_or_self(self, voice: Voice) -> list[Voice]:
        if not voice.cast:
            return [voice]
        voices = [self._member(voice, name) for _, name in voice.cast]
        return [each for each in voices if each is not None]

    def _member(self, voice: Voice, name: str) -> Voice | None:
        return self._own.members(voice).get(name) or self._by_id.get(name) or self._by_name.get(name)


def voice_not_found(id_: str, known: Iterable[str] = ()) -> NotFound:
    names = [*known]
    message = unknown_voice_message(id_, names) if names else f"The voice '{id_[:80]}' does not exist."
    return NotFound(message, param="voice", code="voice_not_found")
