"""The saved voices of an account, as routing has them: read with their samples, and opened.

A library is read every few seconds. A voice whose rows are as they were is not opened again, and stays the
same object, so that what was planned for it stays good.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from policies.bindings import State
from policies.routing import Binding, Voice
from proxy.catalogue.sealed_voices import open_if_possible
from proxy.kept.vault import Vault
from proxy.storage import binding_lists, consents, samples, voices
from proxy.storage.bindings import BindingRecord
from proxy.storage.samples import SampleRecord
from proxy.storage.store import Store
from proxy.storage.voices import VoiceRecord
from speech_engine import EngineVoice, Sample


class SavedClone(NamedTuple):
    """The clone of a voice on an engine, as its owner sees it."""

    engine: str
    state: State
    error: str


class VoiceParts(NamedTuple):
    """What a voice has in other tables. Only `providers` may receive it, if the consent names some.

    `consent` is the digest of the consent's record.
    """

    samples: Sequence[SampleRecord] = ()
    bindings: Sequence[Binding] = ()
    providers: tuple[str, ...] | None = None
    clones: Sequence[SavedClone] = ()
    consent: str = ""


_OBSTACLES: Mapping[State, str] = {
    "wanted": "it is being made there",
    "making": "it is being made there",
    "stranded": "the account that has it is not configured",
}

NO_PARTS = VoiceParts()


class LibraryVoice(NamedTuple):
    """A voice of a library. `row` is the record as the database has it, `record` is opened."""

    row: VoiceRecord
    parts: VoiceParts
    record: VoiceRecord
    voice: Voice


Known = Mapping[str, LibraryVoice]
NONE: Known = {}


async def read_saved_voices(
    store: Store, vault: Vault, account: str, before: Known = NONE
) -> list[LibraryVoice]:
    """Return the voices that an account may use, the newest first. `before` has those of the last read.

    A voice that cannot be opened has no texts, and its id for a name.
    """
    rows = await voices.for_account(store, account)
    parts: Mapping[str, VoiceParts] = {}
    if any(row.kind == "sample" for row in rows):
        parts = await _read_parts(store, account, rows)
    return [_open(vault, row, parts.get(row.id, NO_PARTS), before.get(row.id)) for row in rows]


async def _read_parts(store: Store, account: str, rows: Sequence[VoiceRecord]) -> dict[str, VoiceParts]:
    sampled, agreed, cloned = await asyncio.gather(
        samples.of_account(store, account),
        consents.of_account(store, account),
        binding_lists.list_bindings(store, [row.id for row in rows if row.kind == "sample"]),
    )
    parts: dict[str, VoiceParts] = {}
    for row in rows:
        parts[row.id] = VoiceParts(
            sampled.get(row.id, ()),
            tuple(filter(None, map(_binding, cloned.get(row.id, ())))),
            consents.allowed_providers(row.consent, agreed.get(row.consent or "")),
            tuple(SavedClone(each.engine, each.state, each.error) for each in cloned.get(row.id, ())),
            consents.record_digest(agreed.get(row.consent or "")),
        )
    return parts


def _binding(clone: BindingRecord) -> Binding | None:
    """Return a clone for routing. One that will not speak without somebody's doing is none."""
    obstacle = "" if clone.state == "ready" else _OBSTACLES.get(clone.state)
    if obstacle is None:
        return None
    return Binding(clone.engine, EngineVoice(clone.engine_voice or clone.name), clone.credential, obstacle)


def _open(vault: Vault, row: VoiceRecord, parts: VoiceParts, known: LibraryVoice | None) -> LibraryVoice:
    # What could not be opened is tried again: a master key may be back.
    is_known = known is not None and known.row == row and known.record.name != row.id
    if known is not None and is_known and known.parts == parts:
        return known
    record = open_if_possible(vault, row)
    return LibraryVoice(row, parts, record, voice_of(record, parts))


def voice_of(record: VoiceRecord, parts: VoiceParts = NO_PARTS) -> Voice:
    """Return a saved voice as routing has it. The record is an opened one."""
    return Voice(
        id=record.id,
        name=record.name,
        bindings=tuple(parts.bindings),
        language=record.language,
        gender=record.gender,
        tags=record.tags,
        description=record.description,
        cast=tuple(record.members.items()),
        revision=str(record.revision),
        created=record.created,
        samples=tuple(
            Sample(sample.digest, text, sample.tag, sample.seconds)
            for sample, text in zip(parts.samples, _texts(record, len(parts.samples)), strict=True)
        ),
        providers=parts.providers,
        mix=tuple(record.mix.items()),
        account=record.account,
        consent=parts.consent,
    )


def _texts(record: VoiceRecord, number: int) -> tuple[str, ...]:
    return (*record.texts, *[""] * number)[:number]
