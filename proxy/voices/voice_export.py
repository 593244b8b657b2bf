"""The export of a voice: its recordings as they are kept, and what is known of them, in one zip file.

It is built in memory: a recording is never on the disk in plain.
"""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Sequence

import msgspec

from proxy.kept.vault import Vault
from proxy.storage import samples
from proxy.storage.samples import SampleRecord
from proxy.storage.store import Store
from proxy.storage.voices import VoiceRecord

# Every file of an export is as old as the format: an export of the same voice is the same bytes.
_DATE = (1980, 1, 1, 0, 0, 0)


class SampleFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One recording of an export. `text` has its words, if the owner gave them."""

    file: str
    seconds: float
    text: str
    quality: msgspec.Raw


class VoiceExport:
    def __init__(self, store: Store, vault: Vault) -> None:
        self._store = store
        self._vault = vault

    async def zip(self, record: VoiceRecord, entry: bytes) -> bytes:
        """Return a zip of an opened voice: `voice.json` is its `entry`, `samples.json` is about the files."""
        rows = await samples.of_voice(self._store, record.id)
        masters = [await self._vault.open(row.account, row.digest) for row in rows]
        return await asyncio.to_thread(_zip, record, entry, rows, masters)


def _zip(record: VoiceRecord, entry: bytes, rows: Sequence[SampleRecord], masters: Sequence[bytes]) -> bytes:
    texts = (*record.texts, *[""] * len(rows))
    facts = [
        SampleFacts(
            file=f"sample-{row.number + 1}.wav",
            seconds=row.seconds,
            text=text,
            quality=msgspec.Raw(row.quality.encode()),
        )
        for row, text in zip(rows, texts, strict=False)
    ]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("voice.json", _DATE), entry)
        archive.writestr(zipfile.ZipInfo("samples.json", _DATE), msgspec.json.encode(facts))
        for fact, master in zip(facts, masters, strict=True):
            archive.writestr(zipfile.ZipInfo(fact.file, _DATE), master)
    return buffer.getvalue()
