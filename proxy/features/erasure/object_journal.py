"""The journal of erasures in a shared vault: each line is an object, since no machine could append to a file.

The names alone tell which subjects a database lacks: `erasures/TIME-SUBJECT-NONCE`, and with `-withdrawn` for
a line that withdraws the one of the same time. The nonce is a digest of the content.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

from policies.tasks import SECOND
from proxy.features.erasure.journal import FILE, ErasureJournal, JournalLine, decode, without_known
from proxy.file_store import locked_files
from proxy.file_store.objects import ListedObject, Objects, list_folder
from proxy.storage.disk_names import ERASURES, UnsafeName
from proxy.storage.store import StorageFailed, Store
from proxy.storage.tombstones import Tombstone

TAKEN = FILE + ".taken"
"""A journal whose lines are in the vault."""
_REPLAYED = "erasures.replayed"
_MOST_LINE_BYTES = 4 * 1024 * 1024
_NAME = re.compile(rf"{ERASURES}/(\d{{17}})-([A-Za-z0-9_-]{{1,60}})-[0-9a-f]{{12}}(-withdrawn)?")
_IN_FLIGHT_S = 6.0
"""The tombstone of a line that another machine has just written is committed by then, or never."""
_LOOK_AGAIN_S = 0.25
_LOCKED_S = 0.05

_log = structlog.get_logger()


class _Name(NamedTuple):
    """The name of an object, and what it says."""

    text: str
    at: int
    subject: str
    is_withdrawn: bool


class ObjectJournal:
    """The journal of a vault. Every method raises StorageFailed. `data` may have a journal of before."""

    def __init__(self, objects: Objects, data: Path) -> None:
        self._objects = objects
        self._data = data

    async def write_down(self, tombstone: Tombstone, *, is_withdrawn: bool = False) -> None:
        """Write a line. On return, it survives a power cut."""
        name, content = _encoded(JournalLine.of(tombstone, is_withdrawn=is_withdrawn))
        await self._objects.put(name, content)

    async def list_unknown(self, store: Store) -> list[JournalLine]:
        """List the lines of which this database has no tombstone, the oldest first. Take over the lines of a
        file before."""
        await self._take_over()
        until = asyncio.get_running_loop().time() + _IN_FLIGHT_S
        while True:
            unknown = await without_known(store, _valid(await self._objects.list(f"{ERASURES}/")))
            # Another machine may be between its line and its tombstone.
            young = await store.now() - round(_IN_FLIGHT_S * SECOND)
            is_settled = not store.is_shared or all(name.at < young for name in unknown)
            if is_settled or asyncio.get_running_loop().time() > until:
                lines = [await self._read(name) for name in unknown]
                return [line for line in lines if line is not None]
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def _read(self, name: _Name) -> JournalLine | None:
        try:
            content = await self._objects.read(name.text, 0, _MOST_LINE_BYTES)
        except FileNotFoundError:
            _warn(name.text, "it is gone")
            return None
        return _line_of(name, content)

    async def _take_over(self) -> None:
        file = self._data / FILE
        if not await asyncio.to_thread(file.exists):
            return
        try:
            lines = await asyncio.to_thread(ErasureJournal(self._data).read)
            there = {each.name for each in await self._objects.list(f"{ERASURES}/")} if lines else set()
            for line in lines:
                try:
                    name, content = _encoded(line)
                except UnsafeName as unsafe:
                    _warn(FILE, str(unsafe))
                    continue
                if name not in there:
                    await self._objects.put(name, content)
            await asyncio.to_thread(file.replace, self._data / TAKEN)
        except OSError as error:
            # Without it, this database may have voices that were erased.
            raise StorageFailed(f"the journal of erasures cannot be read: {error.strerror}") from None


async def once_a_start(data: Path, machine: str, replay: Callable[[], Awaitable[None]]) -> None:
    """Replay the journal in the first worker of a start of a server. The others wait for it.

    Raises StorageFailed. If the first worker fails or is killed, the next one replays.
    """
    file = data / _REPLAYED
    try:
        lock = None
        while lock is None:
            if (lock := await asyncio.to_thread(locked_files.take, file)) is None:
                await asyncio.sleep(_LOCKED_S)
        try:
            if not file.exists() or file.read_text() != machine:
                await replay()
                with lock.create_part() as part:
                    part.write(machine.encode())
                    lock.complete_part(part, lock.name)
        finally:
            lock.release()
    except OSError as error:
        raise StorageFailed(f"{file} cannot be written: {error.strerror}") from None


def lines_in(folder: Path) -> bytes:
    """Return the lines of a vault in a folder, as in a journal that is a file. Raises OSError."""
    lines = []
    for each in sorted(list_folder(folder, f"{ERASURES}/")):
        if (name := _parsed(each)) and (line := _line_of(name, (folder / name.text).read_bytes())):
            lines.append(msgspec.json.encode(line) + b"\n")
    return b"".join(lines)


def _encoded(line: JournalLine) -> tuple[str, bytes]:
    """Return the name and the content of the object of a line. Raise UnsafeName."""
    content = msgspec.json.encode(line)
    name = f"{ERASURES}/{line.at:017}-{line.subject}-{sha256(content).hexdigest()[:12]}"
    name += "-withdrawn" * line.is_withdrawn
    if not _NAME.fullmatch(name) or len(content) > _MOST_LINE_BYTES:
        raise UnsafeName(f"{ascii(line.subject)[:100]} cannot be a line of the journal of erasures")
    return name, content


def _valid(listed: Iterable[ListedObject]) -> dict[str, _Name]:
    """Return the newest line of each subject, without those that were withdrawn."""
    names = [name for each in sorted(listed) if (name := _parsed(each))]
    withdrawn = {(name.subject, name.at) for name in names if name.is_withdrawn}
    return {name.subject: name for name in names if (name.subject, name.at) not in withdrawn}


def _parsed(listed: ListedObject) -> _Name | None:
    match = _NAME.fullmatch(listed.name)
    if match is None or listed.size > _MOST_LINE_BYTES:
        _warn(listed.name, f"no line has such a name and {listed.size} bytes")
        return None
    return _Name(listed.name, int(match[1]), match[2], bool(match[3]))


def _line_of(name: _Name, content: bytes) -> JournalLine | None:
    try:
        line = decode(content)
    except UnsafeName as unsafe:
        _warn(name.text, str(unsafe))
        return None
    if line is None or (line.at, line.subject, line.is_withdrawn) != name[1:]:
        _warn(name.text, "its name does not fit")
        return None
    return line


def _warn(name: str, reason: str) -> None:
    _log.warning("erasure.journal.unsafe", object=ascii(name)[:200], reason=reason)
