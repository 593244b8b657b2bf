"""Reads the saved voices of an account for routing, with their samples and opened texts.

The library of an account is read every few seconds. A voice whose rows have not changed is not opened again,
and stays the same object, so that speech plans with it stay valid.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec

from policies.routing import Binding, Voice
from policies.sample_quality import SampleQuality, speech_range_s
from proxy.catalogue.clones import NO_CLONES, Cloning
from proxy.catalogue.own_voices import NO_PARTS, NO_VOICES, LibraryVoice, VoiceParts, VoicesById
from proxy.catalogue.voice_records import VoiceRecord
from proxy.features.consents.grants import Grants, permitted_providers
from proxy.features.own_voices import records
from proxy.features.own_voices.seals import ClipTexts, open_if_possible, texts_of_recordings
from proxy.file_store.vault import Vault
from proxy.storage import samples, trained_models
from proxy.storage.library_revisions import OPERATOR
from proxy.storage.rows import map_in_turns
from proxy.storage.sample_record import NOT_MEASURED, SampleRecord
from proxy.storage.store import Store
from speech_engine import EngineVoice, Sample


class SavedVoices:
    """The saved voices of all accounts and of the operator. `grants` has the engines to which a consent lets
    a voice go. The feature clones, which opens later, replaces `clones`."""

    def __init__(self, store: Store, vault: Vault, grants: Grants) -> None:
        self._store = store
        self._vault = vault
        self._grants = grants
        self.clones: Cloning = NO_CLONES

    async def of_account(self, account: str, known: VoicesById = NO_VOICES) -> Sequence[LibraryVoice]:
        rows = await records.of_account(self._store, account)
        parts: Mapping[str, VoiceParts] = {}
        if any(row.kind == "sample" for row in rows):
            parts = await self._load_parts(account, rows)
        return await map_in_turns(
            lambda row: self._open_voice(row, parts.get(row.id, NO_PARTS), known.get(row.id)), rows
        )

    async def of_operator(self, known: VoicesById = NO_VOICES) -> Sequence[LibraryVoice]:
        """Return the operator's voices. They are not sealed, and have no rows in other tables except trained
        models."""
        rows = await records.of_operator(self._store)
        trained = {}
        if any(row.kind == "catalogue" for row in rows):
            trained = await trained_models.list_of_account(self._store, OPERATOR)
        parts = {id_: VoiceParts(trained=models) for id_, models in trained.items()}
        return await asyncio.to_thread(
            lambda: [
                _build_operator_voice(row, parts.get(row.id, NO_PARTS), known.get(row.id)) for row in rows
            ]
        )

    async def get(self, id_: str) -> VoiceRecord | None:
        return await records.get(self._store, None, id_)

    async def find_record(self, account: str | None, id_or_name: str) -> VoiceRecord | None:
        return await records.find_by_id_or_name(self._store, account, id_or_name)

    def open(self, record: VoiceRecord) -> VoiceRecord:
        return open_if_possible(self._vault, record)

    async def _load_parts(self, account: str, rows: Sequence[VoiceRecord]) -> dict[str, VoiceParts]:
        sampled, trained, granted, cloned = await asyncio.gather(
            samples.list_of_account(self._store, account),
            trained_models.list_of_account(self._store, account),
            self._grants.of_account(account),
            self.clones.of_voices([row.id for row in rows if row.kind == "sample"]),
        )
        parts: dict[str, VoiceParts] = {}
        for row in rows:
            grant = granted.get(row.consent or "")
            parts[row.id] = VoiceParts(
                samples=sampled.get(row.id, ()),
                providers=permitted_providers(row.consent, grant),
                clones=tuple(cloned.get(row.id, ())),
                consent="" if grant is None else grant.digest,
                uses=None if grant is None else grant.uses,
                trained=trained.get(row.id, ()),
            )
        return parts

    def _open_voice(self, row: VoiceRecord, parts: VoiceParts, known: LibraryVoice | None) -> LibraryVoice:
        # A voice that could not be opened has its id as its name. It is tried again: its master key may be
        # back.
        if known is not None and (known.row, known.parts) == (row, parts) and known.record.name != row.id:
            return known
        record = self.open(row)
        texts = texts_of_recordings(self._vault, record, parts.samples)
        voice = routing_voice(record, parts, texts)
        if any(each.recognised and not each.words for each in texts):
            voice = msgspec.structs.replace(voice, awaits_words=True)
        return LibraryVoice(row, parts, record, voice)


def _build_operator_voice(row: VoiceRecord, parts: VoiceParts, known: LibraryVoice | None) -> LibraryVoice:
    if known is not None and known.row == row and known.parts == parts:
        return known
    return LibraryVoice(row, parts, row, routing_voice(row, parts))


def routing_voice(
    record: VoiceRecord, parts: VoiceParts = NO_PARTS, texts: Sequence[ClipTexts] = ()
) -> Voice:
    """Return a saved voice for routing, of its opened record. `texts` has those of each of its recordings."""
    members = tuple(record.members.items())
    is_bound = record.kind == "catalogue"
    bindings = [Binding(engine, EngineVoice(voice)) for engine, voice in members] if is_bound else ()
    return Voice(
        id=record.id,
        name=record.name,
        bindings=(*(each.binding for each in parts.clones if each.binding is not None), *bindings),
        language=record.language,
        gender=record.gender,
        tags=record.tags,
        description=record.description,
        cast=() if is_bound else members,
        revision=str(record.revision),
        created=record.created,
        samples=tuple(
            Sample(
                row.digest,
                text.words,
                row.tag,
                row.seconds,
                _speech_s(row) if text.words else 0.0,
                text.part or "",
            )
            for row, text in zip(parts.samples, texts, strict=True)
        ),
        providers=parts.providers,
        uses=parts.uses,
        mix=tuple(record.mix.items()),
        account=record.account,
        consent=parts.consent,
        clips=tuple((sample.id, sample.digest) for sample in parts.samples if sample.id),
        trained=tuple((model.format, model.digest) for model in parts.trained),
    )


def _speech_s(sample: SampleRecord) -> float:
    """Return the seconds of speech in a recording, without the silence around it. 0.0: it was not
    measured."""
    if sample.quality == NOT_MEASURED:
        return 0.0
    start_s, end_s = speech_range_s(msgspec.json.decode(sample.quality, type=SampleQuality), sample.seconds)
    return end_s - start_s
