"""The saved voices of an account, as routing has them: read with their samples, and opened.

A library is read every few seconds. A voice whose rows are as they were is not opened again, and stays the
same object, so that what was planned for it stays good.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from policies.routing import Binding, Voice
from policies.sample_quality import SampleQuality, stretch_s
from proxy.catalogue.clones import Cloning, SavedClone
from proxy.catalogue.grants import Grants, receivers
from proxy.features.own_voices import records as voices
from proxy.features.own_voices.records import VoiceRecord
from proxy.features.own_voices.seals import open_if_possible
from proxy.kept.vault import Vault
from proxy.storage import samples
from proxy.storage.samples import NOT_MEASURED, SampleRecord
from proxy.storage.store import Store
from speech_engine import EngineVoice, Sample


class VoiceParts(NamedTuple):
    """What a voice has in other tables. Only `providers` may receive it, if the consent names some.

    `consent` is the digest of the consent's record.
    """

    samples: Sequence[SampleRecord] = ()
    providers: tuple[str, ...] | None = None
    clones: Sequence[SavedClone] = ()
    consent: str = ""


NO_PARTS = VoiceParts()
_VOICE_BYTES = 1500
"""What a voice takes in all the tables of a library, without its members and recordings."""
_ITEM_BYTES = 200


class LibraryVoice(NamedTuple):
    """A voice of a library. `row` is the record as the database has it, `record` is opened."""

    row: VoiceRecord
    parts: VoiceParts
    record: VoiceRecord
    voice: Voice


class VoiceTies(NamedTuple):
    """Who knows what a voice of an account has beside its own rows."""

    grants: Grants
    clones: Cloning


Known = Mapping[str, LibraryVoice]
NONE: Known = {}


async def read_own_voices(
    store: Store, vault: Vault, ties: VoiceTies, account: str, before: Known = NONE
) -> list[LibraryVoice]:
    """Return the voices of an account, the newest first. `before` has those of the last read.

    A voice that cannot be opened has no texts, and its id for a name.
    """
    rows = await voices.of_account(store, account)
    parts: Mapping[str, VoiceParts] = {}
    if any(row.kind == "sample" for row in rows):
        parts = await _read_parts(store, ties, account, rows)
    return [_open(vault, row, parts.get(row.id, NO_PARTS), before.get(row.id)) for row in rows]


async def read_operators_voices(store: Store, before: Known = NONE) -> list[LibraryVoice]:
    """Return the operator's voices, the newest first. They have nothing in other tables, and no seal."""
    rows = await voices.of_operator(store)
    return await asyncio.to_thread(lambda: [_unsealed(row, before.get(row.id)) for row in rows])


def weight_of(saved: LibraryVoice) -> int:
    """Return about how many bytes a voice of a library takes."""
    record, parts = saved.record, saved.parts
    texts = (record.name, record.description, record.sealed, *record.tags, *record.texts)
    lists = (record.members, record.mix, record.labels, parts.samples, parts.clones)
    return _VOICE_BYTES + _ITEM_BYTES * sum(map(len, lists)) + sum(map(len, texts))


def _unsealed(row: VoiceRecord, known: LibraryVoice | None) -> LibraryVoice:
    if known is not None and known.row == row:
        return known
    return LibraryVoice(row, NO_PARTS, row, voice_of(row))


async def _read_parts(
    store: Store, ties: VoiceTies, account: str, rows: Sequence[VoiceRecord]
) -> dict[str, VoiceParts]:
    sampled, granted, cloned = await asyncio.gather(
        samples.of_account(store, account),
        ties.grants.of_account(account),
        ties.clones.of_voices([row.id for row in rows if row.kind == "sample"]),
    )
    parts: dict[str, VoiceParts] = {}
    for row in rows:
        grant = granted.get(row.consent or "")
        parts[row.id] = VoiceParts(
            sampled.get(row.id, ()),
            receivers(row.consent, grant),
            tuple(cloned.get(row.id, ())),
            "" if grant is None else grant.digest,
        )
    return parts


def _open(vault: Vault, row: VoiceRecord, parts: VoiceParts, known: LibraryVoice | None) -> LibraryVoice:
    # What could not be opened is tried again: a master key may be back.
    is_known = known is not None and known.row == row and known.record.name != row.id
    if known is not None and is_known and known.parts == parts:
        return known
    record = open_if_possible(vault, row)
    return LibraryVoice(row, parts, record, voice_of(record, parts))


def voice_of(record: VoiceRecord, parts: VoiceParts = NO_PARTS) -> Voice:
    """Return a saved voice as routing has it. The record is an opened one."""
    members = tuple(record.members.items())
    is_bound = record.kind == "catalogue"
    written = [Binding(engine, EngineVoice(voice)) for engine, voice in members] if is_bound else ()
    return Voice(
        id=record.id,
        name=record.name,
        bindings=(*(each.binding for each in parts.clones if each.binding is not None), *written),
        language=record.language,
        gender=record.gender,
        tags=record.tags,
        description=record.description,
        cast=() if is_bound else members,
        revision=str(record.revision),
        created=record.created,
        samples=tuple(
            Sample(sample.digest, text, sample.tag, sample.seconds, _speech_s(sample) if text else 0.0)
            for sample, text in zip(parts.samples, _texts(record, len(parts.samples)), strict=True)
        ),
        providers=parts.providers,
        mix=tuple(record.mix.items()),
        account=record.account,
        consent=parts.consent,
    )


def _speech_s(sample: SampleRecord) -> float:
    if sample.quality == NOT_MEASURED:
        return 0.0
    start_s, end_s = stretch_s(msgspec.json.decode(sample.quality, type=SampleQuality), sample.seconds)
    return end_s - start_s


def _texts(record: VoiceRecord, number: int) -> tuple[str, ...]:
    return (*record.texts, *[""] * number)[:number]
