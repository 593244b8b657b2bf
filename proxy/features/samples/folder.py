"""Samples as files in the data folder, and in memory. Backups leave them out, since they can be made
again."""

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
_TOUCH_EVERY_S = 3600.0
"""How often the time of use of a file is written at most."""


class MeasuredSample(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored beside the sound of a sample. `voice` is the engine's id of the voice. A `long` sample
    is the longer text of the front in one language."""

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
    """The samples of one data folder. Methods that read or write files block, so they run in a thread.

    Worker 0 alone adds and removes. Other workers read the folder again. `samples` is replaced, and never
    changed.
    """

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        self.samples: Mapping[str, StoredSample] = {}
        self._folder = folder
        self._now = now
        # The time of the last use of each sample, in seconds of Unix time.
        self._used: dict[str, float] = {}
        self._lock = threading.Lock()

    def get(self, digest: str) -> StoredSample | None:
        """Return a sample, and note its use."""
        if (sample := self.samples.get(digest)) is not None:
            self._used[digest] = self._now()
        return sample

    @property
    def used_bytes(self) -> int:
        return sum(len(each.sound) for each in self.samples.values())

    def bytes_of(self, digests: Collection[str]) -> int:
        return sum(len(self.samples[each].sound) for each in digests if each in self.samples)

    def least_recently_used(self, spared: Collection[str]) -> list[str]:
        """Return the digests that are not `spared`, the least recently used first."""
        return sorted(
            (each for each in self.samples if each not in spared), key=lambda each: self._used[each]
        )

    def refresh(self) -> None:
        """Read new files of the folder, and forget removed ones. A damaged file is removed."""
        with self._lock:
            names = {file.stem for file in self._folder.glob("*.json")}
            if names == self.samples.keys():
                return
            found = {name: sample for name, sample in self.samples.items() if name in names}
            for name in names - found.keys():
                if (sample := self._read_one(name)) is not None:
                    self._used.setdefault(name, (self._folder / f"{name}.mp3").stat().st_mtime)
                    found[name] = sample
            self.samples = found

    def _read_one(self, name: str) -> StoredSample | None:
        try:
            DiskName(name)  # raises UnsafeName
            record = msgspec.json.decode((self._folder / f"{name}.json").read_bytes(), type=MeasuredSample)
            sound = (self._folder / f"{name}.mp3").read_bytes()
        except UnsafeName:
            return None
        except (msgspec.MsgspecError, UnicodeDecodeError, OSError):
            self._remove(name)
            return None
        return StoredSample(record, sound) if record.digest == name else None

    def store_sample(self, sample: StoredSample) -> None:
        name = sample.record.digest
        with self._lock:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            for ending, data in ((".mp3", sample.sound), (".json", msgspec.json.encode(sample.record))):
                part = self._folder / f"{name}{ending}.part"
                part.write_bytes(data)
                part.rename(self._folder / f"{name}{ending}")
            self._used[name] = self._now()
            self.samples = {**self.samples, name: sample}

    def remove_samples(self, digests: Collection[str]) -> None:
        with self._lock:
            self.samples = {name: sample for name, sample in self.samples.items() if name not in digests}
            for name in digests:
                self._remove(name)

    def write_uses(self) -> None:
        """Write the times of use to the files, so that they outlive a restart."""
        for name in self.samples:
            file, used = self._folder / f"{name}.mp3", self._used[name]
            if file.exists() and used > file.stat().st_mtime + _TOUCH_EVERY_S:
                os.utime(file, (used, used))

    def _remove(self, name: str) -> None:
        for ending in (".json", ".mp3"):
            (self._folder / f"{name}{ending}").unlink(missing_ok=True)
