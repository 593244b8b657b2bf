"""The export of a voice: a zip file with its recordings as they are stored, and their metadata.

The file is made while it is sent. A recording is never on the disk in plain, and never whole in memory.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from typing import IO

import msgspec

from proxy.catalogue.voice_records import VoiceRecord
from proxy.features.own_voices.clips import first_recording_id
from proxy.features.own_voices.seals import texts_of_recordings
from proxy.file_store.sealed_file import SealedFileReader
from proxy.file_store.vault import Vault
from proxy.helpers.limiter import FairLimiter, FairPlace
from proxy.helpers.zip_output import ZIP_DATE, ZipOutput
from proxy.storage import samples
from proxy.storage.store import Store

MOST_PLACES = 32
MOST_OF_ACCOUNT = 4
MOST_AT_ONCE = 2
"""Accounts whose recordings are read and packed at the same time."""


class SampleFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The metadata of one recording in an export. `text` has its words if they are known. `emotion` may be
    ""."""

    file: str
    id: str
    emotion: str
    seconds: float
    text: str
    quality: msgspec.Raw


def export_limiter() -> FairLimiter:
    return FairLimiter("exports", places=MOST_PLACES, of_account=MOST_OF_ACCOUNT, at_once=MOST_AT_ONCE)


class VoiceExport:
    def __init__(self, store: Store, vault: Vault, places: FairLimiter) -> None:
        self._store = store
        self._vault = vault
        self._places = places

    async def open_zip(self, record: VoiceRecord, entry: bytes) -> ZipStream:
        """Return the zip of an opened voice. Its file `voice.json` is `entry`, and `samples.json` has the
        `SampleFacts`.

        The zip holds a place until it is closed. Raises VaultFailed if a recording is gone, and NoPlace.
        """
        place = self._places.reserve_place(record.account or "")
        zip_: ZipStream | None = None
        try:
            zip_ = await self._zip(record, entry, place)
            return zip_
        finally:
            if zip_ is None:
                place.give_back()

    async def _zip(self, record: VoiceRecord, entry: bytes, place: FairPlace) -> ZipStream:
        rows = await samples.list_of_voice(self._store, record.id)
        texts = texts_of_recordings(self._vault, record, rows)
        facts = [
            SampleFacts(
                file=f"sample-{row.number + 1}.wav",
                id=row.id or first_recording_id(row.voice),
                emotion="" if row.is_for_training else row.tag,
                seconds=row.seconds,
                text=text.words,
                quality=msgspec.Raw(row.quality.encode()),
            )
            for row, text in zip(rows, texts, strict=True)
        ]
        readers = [await self._vault.reader(row.account, row.digest) for row in rows]
        metadata = {"voice.json": entry, "samples.json": msgspec.json.encode(facts)}
        recordings = {fact.file: each for fact, each in zip(facts, readers, strict=True)}
        return ZipStream(metadata, recordings, place)


class ZipStream:
    """A zip file that is made as it is read: `next_chunk` returns a part, and None at the end. Close it.

    Each chunk waits for its own turn, so a slow reader or a large voice does not delay others.
    """

    def __init__(
        self, metadata: Mapping[str, bytes], recordings: Mapping[str, SealedFileReader], place: FairPlace
    ) -> None:
        self._place = place
        self._output = ZipOutput()
        self._archive = zipfile.ZipFile(self._output, "w")
        for name, content in metadata.items():
            self._archive.writestr(zipfile.ZipInfo(name, ZIP_DATE), content)
        self._recordings_left = list(recordings.items())
        self._file: IO[bytes] | None = None

    def close(self) -> None:
        self._place.give_back()

    async def next_chunk(self) -> bytes | None:
        """Raises VaultFailed if a recording is damaged, or was erased meanwhile."""
        async with self._place.hold_turn():
            return await self._next_chunk()

    async def _next_chunk(self) -> bytes | None:
        if not self._recordings_left and self._archive.fp is not None:
            self._archive.close()
        elif self._recordings_left:
            name, reader = self._recordings_left[0]
            if self._file is None:
                self._file = self._archive.open(zipfile.ZipInfo(name, ZIP_DATE), "w")
            if part := await reader.next_part():
                # The check sum of a part takes a tenth of a millisecond: no thread is needed.
                self._file.write(part)
            else:
                self._file.close()
                self._file = None
                del self._recordings_left[0]
        # Each call before the end writes something: a part, a descriptor, or the directory. An empty chunk is
        # the end.
        return self._output.take_bytes() or None
