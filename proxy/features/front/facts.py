"""The facts about this server for the page: its voices, its abilities and its prices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec
from msgspec import UNSET

from policies.language import base_tag
from policies.plans import UNLIMITED, Minutes, Plan
from policies.routing import Model, Voice
from proxy.api.admin_tools import AdminTools
from proxy.api.front import LANGUAGES
from proxy.catalogue.catalogue import Catalogue
from proxy.catalogue.people import Offered
from proxy.config.sections import Config
from proxy.errors import NotFound, UpstreamFailed
from proxy.features.admin.minutes import allowed_minutes
from proxy.features.voice_list.voice_entries import VoiceEntries, VoiceEntry
from proxy.features.voice_list.voices import VoiceTools
from proxy.speech_steps.recording_speakers import RecordingSpeakers

_MOST_SHOWN_VOICES = 6
_LIMIT_FEATURES = {"streams": "", "voices": "own_voices", "job_characters": "jobs"}
"""The limits of a plan that the front tells, and the feature of each."""


class ShownVoice(NamedTuple):
    """A voice for people. `sample` is the address of its clip: None until that is made, "" if it never is."""

    title: str
    language: str
    gender: str
    is_robot: bool
    pitch: str
    pace: str
    sample: str | None


class FrontClip(NamedTuple):
    """The longer sample of a language of the front."""

    language: str
    text: str
    address: str
    voice: ShownVoice


class Facts(NamedTuple):
    """What the page says. `voices` are the shown ones of `all_voices` in so many `languages`. `start` are the
    minutes of the plan of new accounts. `abilities` are what the server can do, and plans have `limits` of
    them."""

    voices: Sequence[ShownVoice]
    clips: Sequence[FrontClip]
    all_voices: int
    languages: int
    is_natural: bool
    offers: Sequence[Offered]
    start: Minutes | None
    abilities: Sequence[str]
    limits: Sequence[str]


class Speakers(NamedTuple):
    """The engines' voices without other names for them, those of local natural models first."""

    voices: Sequence[Voice]
    is_natural: bool

    @property
    def languages(self) -> set[str]:
        return {base_tag(each.language) for each in self.voices if each.language}

    def choose_shown(self, first: Sequence[str]) -> list[str]:
        """Return the ids of the voices that are shown: these first, then one of each language in turn, with
        genders in turn."""
        groups: dict[str, list[Voice]] = defaultdict(list)
        for voice in self.voices:
            groups[base_tag(voice.language or "")].append(voice)
        ours = [base_tag(tag) for tag in LANGUAGES]
        order = sorted(groups, key=lambda tag: (tag not in ours, -len(groups[tag]), tag))
        others: list[Voice] = []
        while any(groups.values()) and len(others) < _MOST_SHOWN_VOICES:
            for rest in (groups[tag] for tag in order if groups[tag]):
                last_gender = others[-1].gender if others else ""
                others.append(next((each for each in rest if each.gender != last_gender), rest[0]))
                rest.remove(others[-1])
        ids = dict.fromkeys((*first, *(voice.id for voice in others)))
        return list(ids)[: max(len(first), _MOST_SHOWN_VOICES)]


def speakers_of(voices: Iterable[Voice], models: Sequence[Model]) -> Speakers:
    """Return the voices of local trained models if there are any, or else of trained ones, or else all."""
    local = {each.engine for each in models if each.info.is_trained and each.info.is_local}
    natural = {each.engine for each in models if each.info.is_trained}
    plain = [each for each in voices if not any(binding.shares for binding in each.bindings)]
    for engines in (local, natural):
        if found := [each for each in plain if any(b.engine in engines for b in each.bindings)]:
            return Speakers(found, is_natural=True)
    return Speakers(plain, is_natural=False)


class FactsReader:
    """Reads the facts of one revision of the configuration."""

    def __init__(self, admin_tools: AdminTools, voices: VoiceTools, first: Sequence[str]) -> None:
        self._admin_tools = admin_tools
        self._voices = voices
        self._first_ids = first
        self._speakers_revision = -1  # the voices were never read
        self._speakers = Speakers((), is_natural=False)
        self._robots: frozenset[str] = frozenset()
        self._shown_ids: list[str] = []

    @property
    def speakers(self) -> Speakers:
        self._refresh()
        return self._speakers

    def shown_ids(self) -> list[str]:
        self._refresh()
        return self._shown_ids

    def _refresh(self) -> None:
        """Read the voices again if an engine has other ones."""
        catalogue = self._voices.catalogue
        if self._speakers_revision != catalogue.live.revision:
            self._speakers_revision = catalogue.live.revision
            models = catalogue.models()
            self._speakers = speakers_of(catalogue.voices(), models)
            trained = {each.engine for each in models if each.info.is_trained}
            self._robots = frozenset(each.engine for each in models) - trained
            self._shown_ids = self._speakers.choose_shown(self._first_ids)

    async def read_facts(self, entries: VoiceEntries) -> Facts:
        config, people, income = (
            self._admin_tools.config,
            self._admin_tools.people,
            self._admin_tools.income,
        )
        start_plan = config.plans.get(people.plan)
        offers = income.sold_offers()
        return Facts(
            voices=[
                shown for id_ in self.shown_ids() if (shown := self._find_shown(entries, id_)) is not None
            ],
            clips=self._clips(entries),
            all_voices=len(self.speakers.voices),
            languages=len(self.speakers.languages),
            is_natural=self.speakers.is_natural,
            offers=offers,
            start=None if start_plan is None else allowed_minutes(start_plan, config),
            abilities=_abilities(self._admin_tools, self._voices.catalogue, start_plan, offers),
            limits=[
                name
                for name, feature in _LIMIT_FEATURES.items()
                if not feature or feature in self._admin_tools.features
            ],
        )

    def sample_state(self) -> list[object]:
        """Return a value that changes when a sample of the page is made or removed."""
        samples, catalogue = self._voices.samples, self._voices.catalogue
        ids = self.shown_ids()
        shown_samples = [samples.sample_of(voice) for voice in self.speakers.voices if voice.id in ids]
        return [catalogue.live.revision, *shown_samples, *map(samples.front_sample, LANGUAGES)]

    def _clips(self, entries: VoiceEntries) -> list[FrontClip]:
        samples = [(tag, self._voices.samples.front_sample(tag)) for tag in LANGUAGES]
        return [
            FrontClip(tag, sample.text, sample.address, voice)
            for tag, sample in samples
            if sample is not None and (voice := self._find_shown(entries, sample.voice)) is not None
        ]

    def _find_shown(self, entries: VoiceEntries, id_: str) -> ShownVoice | None:
        with suppress(NotFound, UpstreamFailed):
            return _shown_voice(entries.entry_of(entries.known.voice_named(id_)), self._robots)
        return None


def _shown_voice(entry: VoiceEntry, robots: frozenset[str]) -> ShownVoice:
    pitch, pace = [each if each is not UNSET and each else "" for each in (entry.pitch, entry.pace)]
    sample = "" if entry.sample is UNSET else entry.sample
    title = entry.title or entry.name
    is_robot = bool(entry.engines) and robots.issuperset(entry.engines)
    return ShownVoice(title, entry.language or "", entry.gender or "", is_robot, pitch, pace, sample)


def _abilities(
    tools: AdminTools, catalogue: Catalogue, start: Plan | None, offers: Sequence[Offered]
) -> list[str]:
    """Return the names of the abilities that this server really has for its people."""
    config, features = tools.config, tools.features
    sold = [config.plans[each.name] for each in offers if each.object == "plan"]
    plans = [each for each in (start, *sold) if each is not None]
    plans = plans or [*config.plans.values()] or [UNLIMITED]
    start_plans = plans[:1] if start is not None else plans
    has_own = "own_voices" in features and any(plan.voices != 0 for plan in start_plans)
    abilities = {
        "long": "jobs" in features and any(plan.job_characters != 0 for plan in plans),
        "dialogue": True,
        "own_voices": has_own and bool(RecordingSpeakers(catalogue, None).models(None)),
        "program": True,
        "marks": "marks" in features
        and all(_are_all_marked(config, catalogue.models(), plan) for plan in plans),
    }
    return [name for name, holds in abilities.items() if holds]


def _are_all_marked(config: Config, models: Sequence[Model], plan: Plan) -> bool:
    """Tell whether all clips of a plan are marked. The feature marks may be off, so its section is plain
    data."""
    section = msgspec.to_builtins(config.features.get("marking", {}))
    found = [(config.engines.get(each.engine), each.info.is_local) for each in models]
    by_engine = [(None if engine is None else engine.marking, is_local) for engine, is_local in found]
    by_default = all(is_local if marking is None else marking for marking, is_local in by_engine)
    return bool(section.get("mark", "spread")) and (by_default if plan.marking is None else plan.marking)
