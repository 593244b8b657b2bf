"""The journal of erasures: a file beside the database, which a restored backup does not replace.

Each erasure is a line, and is on the disk before its tombstone is committed. At each start, and after a
restore, the journal's erasures that the database lacks are repeated.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from proxy.storage import tombstones
from proxy.storage.disk_names import DiskName, UnsafeName, flush, owner_name
from proxy.storage.store import StorageFailed, Store
from proxy.storage.tombstones import Tombstone

FILE = "erasures.log"
MOST_BYTES = 1024 * 1024 * 1024
"""The largest journal that a backup may have."""
_BATCH = 500

T = TypeVar("T")


class JournalLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line: an erased subject and its account, without a name. If it `is_withdrawn`, the erasure of the
    line with the same subject and time was refused."""

    at: int
    subject: str
    account: str
    digests: tuple[str, ...] = ()
    is_withdrawn: bool = False

    def __post_init__(self) -> None:
        """Raise UnsafeName, because the named files are deleted."""
        owner_name(self.account)
        for digest in self.digests:
            DiskName(digest)

    @classmethod
    def of(cls, tombstone: Tombstone, *, is_withdrawn: bool) -> JournalLine:
        return cls(
            at=tombstone.began,
            subject=tombstone.subject,
            account=tombstone.account,
            digests=tombstone.digests,
            is_withdrawn=is_withdrawn,
        )


_decoder = msgspec.json.Decoder(JournalLine)
_log = structlog.get_logger()


class ErasureJournal:
    """The journal of one data folder. Its methods wait for the disk, and raise OSError."""

    def __init__(self, data: Path) -> None:
        self._file = data / FILE

    def append(self, tombstone: Tombstone, *, is_withdrawn: bool = False) -> None:
        """Append a line, and wait until it is on the disk."""
        line = JournalLine.of(tombstone, is_withdrawn=is_withdrawn)
        # A killed process may have left half a line. A line end before this line keeps them apart.
        text = (b"\n" if self._is_torn() else b"") + msgspec.json.encode(line) + b"\n"
        is_new = not self._file.exists()
        descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            # One write, since several workers append.
            if os.write(descriptor, text) < len(text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            flush(self._file.parent)

    def read(self) -> list[JournalLine]:
        """Return a line for each subject, without lines that a kill cut short or that were withdrawn."""
        try:
            text = self._file.read_bytes()
        except FileNotFoundError:
            return []
        lines = [*_parse(text.split(b"\n"))]
        withdrawn = {(line.subject, line.at) for line in lines if line.is_withdrawn}
        return [*{line.subject: line for line in lines if (line.subject, line.at) not in withdrawn}.values()]

    async def write_down(self, tombstone: Tombstone, *, is_withdrawn: bool = False) -> None:
        """Append a line. Raises StorageFailed."""
        try:
            await asyncio.to_thread(self.append, tombstone, is_withdrawn=is_withdrawn)
        except OSError as error:
            raise StorageFailed(f"the journal of erasures cannot be written: {error.strerror}") from None

    async def list_unknown(self, store: Store) -> list[JournalLine]:
        """List the lines of which this database has no tombstone. Raises StorageFailed."""
        try:
            lines = await asyncio.to_thread(self.read)
        except OSError as error:
            # Without it, this database may have voices that were erased.
            raise StorageFailed(f"the journal of erasures cannot be read: {error.strerror}") from None
        return await without_known(store, {line.subject: line for line in lines})

    def _is_torn(self) -> bool:
        try:
            with self._file.open("rb") as file:
                file.seek(-1, os.SEEK_END)
                return file.read(1) != b"\n"
        except OSError:
            return False  # there is no file yet, or it is empty


async def without_known(store: Store, by_subject: Mapping[str, T]) -> list[T]:
    """Return the values whose subjects have no tombstone in this database. Raises StorageFailed."""
    subjects, unknown = [*by_subject], list[T]()
    for first in range(0, len(subjects), _BATCH):
        batch = subjects[first : first + _BATCH]
        known = await tombstones.list_erased(store, batch)
        unknown += [by_subject[subject] for subject in batch if subject not in known]
    return unknown


def merge_backup(backup: Path, journal: Path) -> None:
    """Replace the journal by the lines of a backup that it lacks, and its own ones after them. Raises
    OSError."""
    ours = journal.read_bytes() if journal.exists() else b""
    known = {*ours.split(b"\n"), b""}
    older = [line for line in backup.read_bytes().split(b"\n") if line not in known]
    if not older:
        return
    with backup.open("wb") as file:
        file.write(b"".join(line + b"\n" for line in older) + ours)
        file.flush()
        os.fsync(file.fileno())
    backup.replace(journal)


def check_journal(text: bytes, where: str) -> None:
    """Raise UnsafeName, with the number of the line, if a line of an imported journal has an unsafe name."""
    for number, line in enumerate(text.split(b"\n"), 1):
        try:
            decode_line(line)
        except UnsafeName as unsafe:
            raise UnsafeName(f"{where}, line {number}: {unsafe}") from None


def _parse(lines: Iterable[bytes]) -> Iterable[JournalLine]:
    for number, line in enumerate(lines, 1):
        try:
            decoded = decode_line(line)
        except UnsafeName as unsafe:
            _log.warning("erasure.journal.unsafe", line=number, reason=str(unsafe))
            continue
        if decoded is not None:
            yield decoded


def decode_line(line: bytes) -> JournalLine | None:
    """Decode a line. None: it is no line, such as one that a kill cut short. Raise UnsafeName."""
    try:
        return _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
