"""Writes the entries of history. The sound of an answer is in memory while it is sent, and written
afterwards.

A kill between the two loses the entry, and never a charge.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import structlog
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, Counter

from proxy.audio.encode import flac_with_length, open_encoder
from proxy.audio.formats import SAMPLE_BYTES, OutputForm, SoundFailed, wav_samples
from proxy.features.history.records import HistoryRow, HistoryStore, SealedRequest
from proxy.features.history.section import MEGABYTE, HistorySection
from proxy.storage.store import StorageFailed
from proxy.storage.stored_days import StoredDays
from speech_engine.redacted import Redacted

MOST_SOUND_BYTES = 16 * 1024 * 1024
"""Of an answer with more sound, only the text is stored."""
MOST_BYTES = 64 * 1024 * 1024
"""The most sound of all unwritten answers of a worker."""
_CLOSE_WITHIN_S = 5.0
_PART_BYTES = 256 * 1024

_log = structlog.get_logger()


class SoundRoom:
    """The memory of a worker for sound that is not written yet."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.used_bytes = 0


class SoundBuffer:
    """The sound of one answer so far. It is emptied for good once it is too long, or the memory is full."""

    def __init__(self, room: SoundRoom) -> None:
        self.data = bytearray()
        self._room = room
        self._is_lost = False

    def add(self, data: bytes) -> None:
        left = min(MOST_SOUND_BYTES - len(self.data), self._room.most_bytes - self._room.used_bytes)
        if len(data) > left:
            self._is_lost = True
            self.close()
        if not self._is_lost:
            self.data += data
            self._room.used_bytes += len(data)

    def close(self) -> None:
        self._room.used_bytes -= len(self.data)
        self.data = bytearray()


class NewEntry(Redacted, msgspec.Struct, frozen=True):
    """An entry to write: its row so far, its request with the report of a check, and its sound in this form,
    if it is whole. Its writer closes the buffer."""

    entry: HistoryRow
    request: SealedRequest
    sound: SoundBuffer
    form: OutputForm


class HistoryEntries:
    """Keeps requests other than speech, for features. Without a writer, the feature is off and keeps nothing.
    Each revision sets the days."""

    def __init__(self, writer: HistoryWriter | None = None) -> None:
        self.stored: StoredDays | None = None
        self._writer = writer

    def keep_request(
        self, entry: HistoryRow, body: dict[str, Any], plan: str, pcm: bytes, rate_hz: int
    ) -> None:
        """Write an entry with its sound, 16-bit mono at this rate, unless the plan keeps none."""
        writer, stored = self._writer, self.stored
        if writer is None or stored is None or not stored.us_of(plan):
            return
        sound = SoundBuffer(writer.room)
        sound.add(pcm)
        writer.write_entry(NewEntry(entry, SealedRequest(body), sound, OutputForm("pcm", rate_hz)))


class HistoryWriter:
    """Writes the entries of one worker, each in a task of its own. Each revision sets the section."""

    def __init__(self, store: HistoryStore, registry: CollectorRegistry) -> None:
        self.room = SoundRoom(MOST_BYTES)
        self.section = HistorySection()
        self._store = store
        self._tasks: set[asyncio.Task[None]] = set()
        # One encoding at a time, since other work of this worker needs the core, too.
        self._encoding = asyncio.Semaphore()
        self._entries = Counter(
            "voxgate_history_entries", "Requests that were to be kept.", ["stored"], registry=registry
        )

    def write_entry(self, new: NewEntry) -> None:
        task = asyncio.create_task(self._write(new))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aclose(self, within_s: float = _CLOSE_WITHIN_S) -> None:
        """Wait for the entries under way, and cancel those that take too long."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=within_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _write(self, new: NewEntry) -> None:
        stored = "nothing"
        try:
            stored = await self._store_entry(new)
        except (OSError, StorageFailed, SoundFailed) as error:
            _log.warning("history.write.failed", request=new.entry.id, reason=str(error))
        finally:
            new.sound.close()
            self._entries.labels(stored).inc()

    async def _store_entry(self, new: NewEntry) -> str:
        """Write an entry, and return what is stored of it."""
        store, entry = self._store, new.entry
        account = entry.account
        record = await store.vault.seal_record(account, entry.id, new.request)
        sound, format_ = b"", ""
        if new.sound.data:
            async with self._encoding:
                sound, format_ = await asyncio.to_thread(encode_stored_sound, new.sound.data, new.form)
        entry = replace(
            entry,
            created=await store.store.now(),
            digest=await store.put(account, sound) if sound else "",
            sound_format=format_,
            sound_bytes=len(sound),
            bytes=len(sound) + len(record.sealed),
            wrapped=record.wrapped,
            sealed=record.sealed,
        )
        is_added = False
        try:
            is_added = await store.add(entry)
        finally:
            if not is_added and sound:
                await store.drop(account, entry.digest)
        await store.make_room(account, self.section.account_mb * MEGABYTE)
        if not is_added:
            return "nothing"
        return "sound" if sound else "text"


def encode_stored_sound(data: bytearray, form: OutputForm) -> tuple[bytes, str]:
    """Return the sound as it is stored, and its format: FLAC in place of WAV and PCM. Raises SoundFailed."""
    if form.format not in ("wav", "pcm"):
        return bytes(data), form.format
    pcm = wav_samples(data) if form.format == "wav" else memoryview(data)
    whole_bytes = len(pcm) // SAMPLE_BYTES * SAMPLE_BYTES
    encoder = open_encoder(replace(form, format="flac", kbit_s=None))
    try:
        parts = [
            encoder.feed(bytes(pcm[at : min(at + _PART_BYTES, whole_bytes)])).data
            for at in range(0, whole_bytes, _PART_BYTES)
        ]
        flac = b"".join([*parts, encoder.flush().data])
    finally:
        encoder.close()
    return flac_with_length(flac, whole_bytes // SAMPLE_BYTES), "flac"
