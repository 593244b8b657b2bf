"""/v1/audio/voices and /v1/voices: the list, under every key that a known client reads, and a search by
description. Making, changing and deleting voices is a feature."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import UNSET
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from policies import matching
from policies.routing import Voice
from proxy.access.admission import Plans
from proxy.access.callers import Caller, caller_or_none
from proxy.catalogue.catalogue import Catalogue
from proxy.catalogue.library import AccountLibrary, Library
from proxy.errors import InvalidRequest, NotFound
from proxy.feature import RevisionContext
from proxy.features.voice_list.known_voices import KnownVoices
from proxy.features.voice_list.misheard_rates import NoMisheardRates
from proxy.features.voice_list.voice_entries import (
    VoiceEntries,
    VoiceEntry,
    VoiceList,
    VoiceMatches,
    VoiceNames,
)
from proxy.features.voice_list.voice_samples import NoVoiceSamples
from proxy.http.endpoint import Query
from proxy.http.lists import query_choice, query_limit
from proxy.http.replies import reply
from proxy.speech_steps.recording_speakers import RecordingSpeakers
from proxy.storage.rows import map_in_turns

_LONGEST_DESCRIPTION = 500
_MINE = Query("mine", "`true` gives only the voices of the caller's own account.", ("true", "false"))
_FORMAT = Query("format", "`names` gives ids alone.", ("names",))
LIST_QUERIES = (
    Query(
        "language",
        "Voices of this language first, `pt` finds `pt-BR` too; then those that can have any.",
    ),
    Query("gender", "Only voices of this gender."),
    Query("engine", "Only voices that this engine speaks with."),
    _MINE,
    Query("describe", "Only voices that match this description, the best first: `warm older woman, Thai`."),
    _FORMAT,
    Query("limit", "How many, 1 to 1000. Without it, all."),
    Query("after", "The id of the last voice of the page before."),
)


class VoiceTools(NamedTuple):
    """The tools of the handlers of voices. Each revision of the configuration has its own."""

    catalogue: Catalogue
    library: Library
    plans: Plans
    misheard_rates: NoMisheardRates = NoMisheardRates()
    samples: NoVoiceSamples = NoVoiceSamples()

    @classmethod
    def of(cls, revision: RevisionContext) -> VoiceTools | None:
        """Return the tools of a revision; None in a command."""
        if revision.catalogue is None or revision.plans is None:
            return None
        find = revision.context.find_shared_or
        rates, samples = find(NoMisheardRates()), find(NoVoiceSamples())
        return cls(revision.catalogue, revision.library, revision.plans, rates, samples)

    async def voice_entries(self, request: Request) -> VoiceEntries:
        """Return what makes the entries of the caller's voices; without a caller, of the public ones."""
        return self._entries(request, await self.library.read_newest(_caller_account(request)))

    def _entries(self, request: Request, library: AccountLibrary) -> VoiceEntries:
        caller = caller_or_none(request.scope)
        terms = None if caller is None else self.plans.terms(caller)
        unused_days = None if terms is None else terms.voices_unused_days
        speakers = RecordingSpeakers(self.catalogue, terms)
        return VoiceEntries(KnownVoices(library, self.catalogue, terms), speakers, unused_days, self.samples)

    async def voice_entry(self, request: Request, id_: str) -> VoiceEntry:
        entries = self._entries(request, await self.library.get(_caller_account(request)))
        try:
            return entries.whole_entry(entries.known.voice_named(id_))
        except NotFound:
            # Another worker may have saved it a moment ago.
            if (newer := await self.library.read_again(_caller_account(request))) is None:
                raise
            entries = self._entries(request, newer)
            return entries.whole_entry(entries.known.voice_named(id_))

    async def usable_voice(self, caller: Caller, name: str) -> Voice:
        """Return a voice that the caller may speak with, by its id or name. Raises InvalidRequest."""
        library = await self.library.get(caller.account)
        try:
            voice = self.catalogue.resolve_voice(name, library.voices)
        except InvalidRequest:
            # Another worker may have saved it a moment ago.
            if (newer := await self.library.read_again(caller.account)) is None:
                raise
            library, voice = newer, self.catalogue.resolve_voice(name, newer.voices)
        terms = self.plans.terms(caller)
        engines = {*KnownVoices(library, self.catalogue, terms).engines(voice)}
        _, allowed_models = self.catalogue.list_models(terms)
        allowed_engines = {model.engine for model in allowed_models}
        # An engine that has not been up yet may have any model.
        if engines and engines <= {model.engine for model in self.catalogue.models()} - allowed_engines:
            raise InvalidRequest(
                f"Your plan '{terms.plan}' has no model that speaks with the voice '{voice.label}'.",
                param="voice",
                code="voice_not_found",
            )
        return voice


def _caller_account(request: Request) -> str:
    caller = caller_or_none(request.scope)
    return "" if caller is None else caller.account


class Voices:
    """The list of voices, and one voice."""

    def __init__(self, tools: VoiceTools) -> None:
        self._tools = tools

    async def list_voices(self, request: Request) -> Response:
        query = request.query_params
        wants_names_alone = query_choice(request, _FORMAT) == "names"
        query_choice(request, _MINE)
        limit = query_limit(request)
        entries = await self._tools.voice_entries(request)
        voices = _filter_voices(entries.known, request)
        match_by_id = None
        if "describe" in query:
            # This runs in a thread: an engine may list thousands of voices, each with a description.
            described = _check_description(query["describe"])
            matches = await asyncio.to_thread(
                matching.match_voices, described, voices, entries.known.may_speak, entries.measured_words
            )
            voices = [match.voice for match in matches]
            match_by_id = {match.voice.id: match for match in matches}
        voices, has_more = _cut_page(voices, query.get("after"), limit)
        if wants_names_alone:
            ids = [voice.id for voice in voices]
            return reply(VoiceNames(data=ids, voices=ids, has_more=has_more))
        if match_by_id is not None:
            matched = [entries.matched_entry(match_by_id[voice.id]) for voice in voices]
            return reply(VoiceMatches(data=matched, voices=matched, has_more=has_more))
        listed = await map_in_turns(entries.entry_of, voices)
        hint = entries.speakers.hint(query.get("language") or None) or UNSET
        return reply(VoiceList(data=listed, voices=listed, has_more=has_more, hint=hint))

    async def get_voice(self, request: Request) -> Response:
        entry = await self._tools.voice_entry(request, request.path_params["id"])
        if rates := await self._tools.misheard_rates.find_rates(entry.id):
            entry = replace(entry, misheard=list(rates))
        return reply(entry)


def _filter_voices(known: KnownVoices, request: Request) -> list[Voice]:
    query = request.query_params
    voices = known.voices_in_language(query["language"]) if query.get("language") else known.voices
    if gender := query.get("gender"):
        voices = [voice for voice in voices if (voice.gender or "").lower() == gender.lower()]
    if engine := query.get("engine"):
        voices = [voice for voice in voices if engine in known.engines(voice)]
    if query.get("mine") == "true":
        voices = [voice for voice in voices if known.is_own(voice)]
    return voices


def _cut_page(voices: Sequence[Voice], after: str | None, limit: int | None) -> tuple[list[Voice], bool]:
    """Return a page, and whether there is a next one. Raises InvalidRequest if no voice is `after`."""
    start = 0
    if after:
        positions = [position for position, voice in enumerate(voices) if voice.id == after]
        if not positions:
            raise InvalidRequest(
                "Invalid value for 'after': it must be the id of the last voice of the page before.",
                param="after",
            )
        start = positions[0] + 1
    end = len(voices) if limit is None else start + limit
    return list(voices[start:end]), end < len(voices)


def _check_description(text: str) -> str:
    if not text.strip() or len(text) > _LONGEST_DESCRIPTION:
        raise InvalidRequest(
            f"Invalid value for 'describe': it must be a text of 1 to {_LONGEST_DESCRIPTION} characters.",
            param="describe",
        )
    return text
