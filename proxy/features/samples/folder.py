"""Samples as files in the data folder, and in memory. They are in no backup: they are made again."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from proxy.storage.disk_names import DiskName, UnsafeName

MB = 1024 * 1024
_TOUCHED_S = 3600.0
"""The time of use of a file is written once in this time."""


class MeasuredSample(msgspec.Struct, frozen=True, kw_only=True):
    """A sample that is made, beside its sound. `voice` is the engine's id of the voice. A `long` one is that
    of a language of the front."""

    digest: str
    engine: str
    voice: str
    language: str
    kind: Literal["voice", "long"]
    text: str
    gender: str | None
    pitch_hz: float | None
    words_a_minute: float | None


class StoredSample(msgspec.Struct, frozen=True):
    record: MeasuredSample
    sound: bytes


class SampleFolder:
    """The samples of one data folder. What reads or writes files blocks, so it runs in a thread.

    Worker 0 alone adds and drops. Others read the folder again. `kept` is replaced, and never changed.
    """

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        self.kept: Mapping[str, StoredSample] = {}
        self._folder = folder
        self._now = now
        self._used: dict[str, float] = {}
        self._lock = threading.Lock()

    def get(self, digest: str) -> StoredSample | None:
        """Return a sample, and note its use."""
        if (kept := self.kept.get(digest)) is not None:
            self._used[digest] = self._now()
        return kept

    @property
    def used_bytes(self) -> int:
        return sum(len(each.sound) for each in self.kept.values())

    def bytes_of(self, digests: Collection[str]) -> int:
        return sum(len(self.kept[each].sound) for each in digests if each in self.kept)

    def oldest(self, but: Collection[str]) -> list[str]:
        """Return the digests, the one that was not used for the longest time first, without some."""
        return sorted((each for each in self.kept if each not in but), key=lambda each: self._used[each])

    def refresh(self) -> None:
        """Read what is new in the folder, and forget what is gone. A file that is spoilt is removed."""
        with self._lock:
            names = {file.stem for file in self._folder.glob("*.json")}
            if names == self.kept.keys():
                return
            found = {name: kept for name, kept in self.kept.items() if name in names}
            for name in names - found.keys():
                if (kept := self._read_one(name)) is not None:
                    self._used.setdefault(name, (self._folder / f"{name}.mp3").stat().st_mtime)
                    found[name] = kept
            self.kept = found

    def _read_one(self, name: str) -> StoredSample | None:
        try:
            DiskName(name)
            record = msgspec.json.decode((self._folder / f"{name}.json").read_bytes(), type=MeasuredSample)
            sound = (self._folder / f"{name}.mp3").read_bytes()
        except UnsafeName:
            return None
        except (msgspec.MsgspecError, UnicodeDecodeError, OSError):
            self._remove(name)
            return None
        return StoredSample(record, sound) if record.digest == name else None

    def store_sample(self, kept: StoredSample) -> None:
        name = kept.record.digest
        with self._lock:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            for ending, data in ((".mp3", kept.sound), (".json", msgspec.json.encode(kept.record))):
                part = self._folder / f"{name}{ending}.part"
                part.write_bytes(data)
                part.rename(self._folder / f"{name}{ending}")
            self._used[name] = self._now()
            self.kept = {**self.kept, name: kept}

    def remove_samples(self, digests: Collection[str]) -> None:
        with self._lock:
            self.kept = {name: kept for name, kept in self.kept.items() if name not in digests}
            for name in digests:
                self._remove(name)

    def write_uses(self) -> None:
        """Write when samples were used, so that a restart knows."""
        for name in self.kept:
            file, used = self._folder / f"{name}.mp3", self._used[name]
            if file.exists() and used > file.stat().st_mtime + _TOUCHED_S:
                os.utime(file, (used, used))

    def _remove(self, name: str) -> None:
        for ending in (".json", ".mp3"):
            (self._folder / f"{name}{ending}").unlink(missing_ok=True)
