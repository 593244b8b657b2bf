"""The texts of a voice that name a person: sealed in its row, and opened for its owner's library.

They are the name, the description, tags, labels, and the words of the samples. A cast has them unsealed.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import structlog

from proxy.catalogue.voice_records import VoiceRecord
from proxy.kept.vault import SealedRecord, Vault, VaultFailed

_log = structlog.get_logger()


class VoiceTexts(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a voice's `sealed`. `request` is a digest of the request that made the voice."""

    name: str
    description: str = ""
    tags: tuple[str, ...] = ()
    labels: Mapping[str, str] = {}
    texts: tuple[str, ...] = ()
    request: str = ""

    def __repr__(self) -> str:
        return "<VoiceTexts>"


async def seal_voice(vault: Vault, record: VoiceRecord) -> VoiceRecord:
    """Return the record as its row has it. Its name is a digest, which only this account's key makes."""
    assert record.account is not None, "the operator's voices are not sealed"
    texts = msgspec.convert(record, VoiceTexts, from_attributes=True)
    sealed = await vault.seal_record(record.account, record.id, texts)
    digest = await vault.name_digest(record.account, record.name)
    row = msgspec.structs.replace(record, name=digest, wrapped=sealed.wrapped, sealed=sealed.sealed)
    return closed(row)


def closed(row: VoiceRecord) -> VoiceRecord:
    """Return a sealed record without the texts that are in its seal. The name, a digest, stays."""
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
