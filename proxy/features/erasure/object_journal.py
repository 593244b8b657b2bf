"""The journal of erasures in a shared vault: each line is an object, since no machine could append to a file.

The names alone tell which subjects a database lacks: `erasures/TIME-SUBJECT-SIGNATURE`, and with `-withdrawn`
for a line that withdraws the one of the same time. The signature is of the content, by the master key.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

from policies.tasks import SECOND_US
from proxy.config.config_toml import Config
from proxy.features.erasure import tombstone_rows
from proxy.features.erasure.journal import FILE, ErasureJournal, JournalLine, decode_line, without_known
from proxy.file_store import locked_files
from proxy.file_store.master_keys import MasterKeySource
from proxy.file_store.objects import ListedObject, list_folder
from proxy.file_store.sealing import MasterKeys, erasure_signature
from proxy.file_store.vault import Vault
from proxy.storage.disk_names import ERASURES, UnsafeName
from proxy.storage.store import StorageFailed, Store
from proxy.storage.tombstones import Tombstone

IMPORTED_FILE = FILE + ".taken"
"""The new name of a journal file whose lines are in the vault."""
_REPLAYED = "erasures.replayed"
_MOST_LINE_BYTES = 4 * 1024 * 1024
_NAME_PATTERN = re.compile(rf"{ERASURES}/(\d{{17}})-([A-Za-z0-9_-]{{1,60}})-([0-9a-f]{{12}})(-withdrawn)?")
_UNCOMMITTED_S = 6.0
"""So long after another machine has written a line, its tombstone is committed, or never will be."""
_LOOK_AGAIN_S = 0.25
_LOCK_EVERY_S = 0.05
_AT_ONCE = 16


class _Lines(NamedTuple):
    """The lines of a subject, and those of them that one of our master keys has signed."""

    all: list[JournalLine]
    signed: list[JournalLine]


_log = structlog.get_logger()


class _Name(NamedTuple):
    """The name of an object of the journal, with its parts."""

    text: str
    signature: str
    at: int
    subject: str
    is_withdrawn: bool


class ObjectJournal:
    """The journal of a vault. Every method raises StorageFailed. `data` may have a journal file from the time
    before the vault was shared.

    Whoever can write into the vault can write lines, so a line counts if a master key has signed it. If this
    database has a tombstone of its subject, `sign` adds the signed line.
    """

    def __init__(self, vault: Vault, data: Path) -> None:
        self._vault = vault
        self._data = data

    async def write_down(self, tombstone: Tombstone, *, is_withdrawn: bool = False) -> None:
        """Write a line. On return, it survives a power cut."""
        masters = await self._vault.ensure_masters()
        line = JournalLine.of(tombstone, is_withdrawn=is_withdrawn)
        await self._vault.objects.put(*_encode_line(line, masters))

    async def list_unknown(self, store: Store) -> list[JournalLine]:
        """List the signed lines of which this database has no tombstone, the oldest first. Before that,
        take over the lines of a journal file."""
        await self._import_file()
        until = asyncio.get_running_loop().time() + _UNCOMMITTED_S
        while unknown := await _without_tombstone(store, await self._list_names()):
            # Another machine may be between its line and its tombstone.
            settled_at = await store.now() - round(_UNCOMMITTED_S * SECOND_US)
            is_settled = not store.is_shared or all(
                name.at < settled_at for names in unknown for name in names
            )
            if is_settled or asyncio.get_running_loop().time() > until:
                break
            await asyncio.sleep(_LOOK_AGAIN_S)
        lines = await self._read(unknown)
        if unsigned := _unsigned(lines):
            subjects = [line.subject for line in unsigned]
            _log.warning("erasure.journal.unsigned", number=len(subjects), subjects=subjects[:20])
        return _in_order(_newest_valid(each.signed) for each in lines)

    async def list_unsigned(self, store: Store) -> list[JournalLine]:
        """List the lines that would count if they were signed, the oldest first."""
        return _unsigned(await self._read(await _without_tombstone(store, await self._list_names())))

    async def accept(self, lines: Iterable[JournalLine]) -> None:
        """Sign lines that were not signed."""
        await self._put_missing(lines)

    async def sign(self, store: Store) -> int:
        """Add the lines that have no object under the newest key: the line of each tombstone, and each signed
        line without a tombstone. Return their number. A line with a tombstone is not read, but made
        again from it, in case its object was deleted."""
        names, number = await self._list_names(), 0
        stored = {name.text for name in names}
        async for batch in tombstone_rows.tombstone_batches(store):
            number += await self._put_missing(batch, stored)
        unknown = await self._read(await _without_tombstone(store, names))
        return number + await self._put_missing((line for each in unknown for line in each.signed), stored)

    async def _put_missing(
        self, lines: Iterable[JournalLine | Tombstone], stored: Collection[str] = ()
    ) -> int:
        """Put the lines that are not `stored` under the newest key, and return their number."""
        masters, new = await self._vault.ensure_masters(), list[tuple[str, bytes]]()
        for each in lines:
            try:
                line = each if isinstance(each, JournalLine) else JournalLine.of(each, is_withdrawn=False)
                name, content = _encode_line(line, masters)
            except UnsafeName as unsafe:
                _warn(each.subject, str(unsafe))
                continue
            if name not in stored:
                new.append((name, content))
        for first in range(0, len(new), _AT_ONCE):
            await asyncio.gather(*(self._vault.objects.put(*each) for each in new[first:][:_AT_ONCE]))
        return len(new)

    async def _list_names(self) -> list[_Name]:
        listed = await self._vault.objects.list(f"{ERASURES}/")
        return [name for each in sorted(listed) if (name := _parse_name(each))]

    async def _read(self, subjects: Sequence[Iterable[_Name]]) -> list[_Lines]:
        lines = list[_Lines]()
        for first in range(0, len(subjects), _AT_ONCE):
            lines += await asyncio.gather(*map(self._lines, subjects[first : first + _AT_ONCE]))
        return lines

    async def _lines(self, names: Iterable[_Name]) -> _Lines:
        masters, lines, signed = self._vault.masters.read_if_any(), [], []
        for name in names:
            try:
                content = await self._vault.objects.read(name.text, 0, _MOST_LINE_BYTES)
            except FileNotFoundError:
                _warn(name.text, "it is gone")
                continue
            if (line := _decode_object(name, content)) is not None:
                lines.append(line)
                if masters is not None and masters.have_signed(content, name.signature):
                    signed.append(line)
        return _Lines(lines, signed)

    async def _import_file(self) -> None:
        file = self._data / FILE
        if not await asyncio.to_thread(file.exists):
            return
        try:
            # Only this server writes into the data folder, so the lines need no signature.
            lines = await asyncio.to_thread(ErasureJournal(self._data).read)
            await self._put_missing(lines)
            await asyncio.to_thread(file.replace, self._data / IMPORTED_FILE)
        except OSError as error:
            # Without it, this database may have voices that were erased.
            raise StorageFailed(f"the journal of erasures cannot be read: {error.strerror}") from None


async def _without_tombstone(store: Store, names: Iterable[_Name]) -> list[list[_Name]]:
    """Return the names of each subject of which this database has no tombstone."""
    by_subject: dict[str, list[_Name]] = {}
    for name in names:
        by_subject.setdefault(name.subject, []).append(name)
    return await without_known(store, by_subject)


def _newest_valid(lines: Sequence[JournalLine]) -> JournalLine | None:
    """Return the newest line of a subject that no other of these lines withdraws."""
    withdrawn = {line.at for line in lines if line.is_withdrawn}
    return max((line for line in lines if line.at not in withdrawn), key=lambda line: line.at, default=None)


def _unsigned(unknown: Iterable[_Lines]) -> list[JournalLine]:
    """Return the unsigned line of each subject that has no signed one that counts."""
    return _in_order(_newest_valid(each.all) for each in unknown if _newest_valid(each.signed) is None)


def _in_order(lines: Iterable[JournalLine | None]) -> list[JournalLine]:
    return sorted((line for line in lines if line is not None), key=lambda line: line.at)


async def replay_once_a_start(data: Path, start: str, replay: Callable[[], Awaitable[None]]) -> None:
    """Replay the journal in the first worker of a start of a server. The others wait for it.

    Raises StorageFailed. If the first worker fails or is killed, the next one replays.
    """
    file = data / _REPLAYED
    try:
        lock = None
        while lock is None:
            if (lock := await asyncio.to_thread(locked_files.take_lock, file)) is None:
                await asyncio.sleep(_LOCK_EVERY_S)
        try:
            if not file.exists() or file.read_text() != start:
                await replay()
                with lock.create_part() as part:
                    part.write(start.encode())
                    lock.complete_part(part, lock.name)
        finally:
            lock.release()
    except OSError as error:
        raise StorageFailed(f"{file} cannot be written: {error.strerror}") from None


def signed_lines(folder: Path, masters: MasterKeys | None) -> bytes:
    """Return the signed lines of a vault in a folder, as in a journal that is a file. Raises OSError."""
    lines = []
    for each in sorted(list_folder(folder, f"{ERASURES}/")):
        if (name := _parse_name(each)) and (
            line := _decode_object(name, content := (folder / name.text).read_bytes())
        ):
            if masters is not None and masters.have_signed(content, name.signature):
                lines.append(msgspec.json.encode(line) + b"\n")
            else:
                _warn(name.text, "it is not signed")
    return b"".join(lines)


def lines_in_folder(config: Config) -> bytes:
    """Return the signed lines of the shared folder of a configuration. Raises OSError and VaultFailed."""
    masters = MasterKeySource(config.vault, Path(config.data)).read_if_any()
    return signed_lines(Path(config.vault.folder), masters)


def _encode_line(line: JournalLine, masters: MasterKeys) -> tuple[str, bytes]:
    """Return the name and the content of the object of a line, signed by the newest key. Raise UnsafeName.

    Versions without signatures have a digest in place of the signature, and do not read it.
    """
    content = msgspec.json.encode(line)
    name = f"{ERASURES}/{line.at:017}-{line.subject}-{erasure_signature(masters.newest, content)}"
    name += "-withdrawn" if line.is_withdrawn else ""
    if not _NAME_PATTERN.fullmatch(name) or len(content) > _MOST_LINE_BYTES:
        raise UnsafeName(f"{ascii(line.subject)[:100]} cannot be a line of the journal of erasures")
    return name, content


def _parse_name(listed: ListedObject) -> _Name | None:
    match = _NAME_PATTERN.fullmatch(listed.name)
    if match is None or listed.size > _MOST_LINE_BYTES:
        _warn(listed.name, f"no line has such a name and {listed.size} bytes")
        return None
    return _Name(listed.name, match[3], int(match[1]), match[2], bool(match[4]))


def _decode_object(name: _Name, content: bytes) -> JournalLine | None:
    try:
        line = decode_line(content)
    except UnsafeName as unsafe:
        _warn(name.text, str(unsafe))
        return None
    named = name.at, name.subject, name.is_withdrawn
    if line is None or (line.at, line.subject, line.is_withdrawn) != named:
        _warn(name.text, "its name does not fit")
        return None
    return line


def _warn(name: str, reason: str) -> None:
    _log.warning("erasure.journal.unsafe", object=ascii(name)[:200], reason=reason)
