"""Seals the personal texts of a voice in its row, and opens them.

They are the name, the description, tags, labels, and the words of the first recording. A cast has them in
plain. The words of a clip are sealed in the clip's own row, and are deleted with it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import structlog
from msgspec import UNSET, UnsetType

from proxy.catalogue.voice_records import ComparisonResult, Recognised, VoiceRecord, VoiceTexts
from proxy.file_store.vault import SealedRecord, Vault, VaultFailed
from proxy.storage.sample_record import SampleRecord

_log = structlog.get_logger()


class ClipTexts(msgspec.Struct, frozen=True, kw_only=True):
    """The texts in a clip's column `sealed`. `part`, `recognised` and `request` are as in `VoiceTexts`, and
    `compared` as in `VoiceRecord`."""

    words: str = ""
    part: str | UnsetType = UNSET
    recognised: Recognised = UNSET
    request: str = ""
    compared: ComparisonResult | None = None

    def __repr__(self) -> str:
        return "<ClipTexts>"


async def seal_voice(vault: Vault, record: VoiceRecord) -> VoiceRecord:
    """Return the record with its texts sealed. Its name becomes a digest with the account's key."""
    assert record.account is not None, "the operator's voices are not sealed"
    texts = VoiceTexts(**{name: getattr(record, name) for name in VoiceTexts.__struct_fields__})
    sealed = await vault.seal_record(record.account, record.id, texts)
    digest = await vault.name_digest(record.account, record.name)
    row = msgspec.structs.replace(record, name=digest, wrapped=sealed.wrapped, sealed=sealed.sealed)
    return without_texts(row)


def without_texts(row: VoiceRecord) -> VoiceRecord:
    """Return the record with its stored name alone, and no other personal text."""
    return msgspec.structs.replace(row, **msgspec.structs.asdict(VoiceTexts(name=row.name)))


def open_voice(vault: Vault, record: VoiceRecord) -> VoiceRecord:
    """Return the record with its texts. Raises VaultFailed."""
    if not record.is_sealed or record.account is None:
        return record
    sealed = SealedRecord(record.wrapped, record.sealed)
    texts = vault.open_record(record.account, record.id, sealed, VoiceTexts)
    return msgspec.structs.replace(record, **msgspec.structs.asdict(texts))


def open_if_possible(vault: Vault, record: VoiceRecord) -> VoiceRecord:
    """Return the record with its texts. If they cannot be opened, its id is its name."""
    try:
        return open_voice(vault, record)
    except VaultFailed as error:
        _log.error("voice.open.failed", voice=record.id, reason=str(error))
        return msgspec.structs.replace(record, name=record.id)


async def seal_clip(vault: Vault, row: SampleRecord, texts: ClipTexts) -> SampleRecord:
    sealed = await vault.seal_record(row.account, row.id, texts)
    return msgspec.structs.replace(row, wrapped=sealed.wrapped, sealed=sealed.sealed)


def open_clip(vault: Vault, row: SampleRecord) -> ClipTexts:
    """Return the texts of a clip. Raises VaultFailed."""
    return vault.open_record(row.account, row.id, SealedRecord(row.wrapped, row.sealed), ClipTexts)


def texts_of_recordings(vault: Vault, record: VoiceRecord, rows: Sequence[SampleRecord]) -> list[ClipTexts]:
    """Return the texts of each recording of an opened voice. Those of a clip that cannot be opened are
    empty."""
    # `record.texts` may be shorter than `rows`: the texts of clips are in their own rows.
    return [
        _open_if_possible(vault, row)
        if row.id
        else ClipTexts(words=words, part=record.part, recognised=record.recognised, compared=record.compared)
        for row, words in zip(rows, (*record.texts, *[""] * len(rows)), strict=False)
    ]


def _open_if_possible(vault: Vault, row: SampleRecord) -> ClipTexts:
    try:
        return open_clip(vault, row)
    except VaultFailed as error:
        _log.error("voice.open.failed", voice=row.voice, reason=str(error))
        return ClipTexts()
