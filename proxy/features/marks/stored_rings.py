"""Rings of keys as sealed rows on PostgreSQL, which all machines read. A setting with keys replaces its
ring."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

from policies.tasks import SECOND_US
from proxy.file_store.key_ring import KeyRing, RingKey, parse_keys
from proxy.file_store.locked_files import new_secret
from proxy.file_store.vault import SealedRecord, Vault, VaultFailed
from proxy.storage.rows import columns, insert, insert_sql, new_id
from proxy.storage.store import Statement, Store
from proxy.storage.tables import Table
from speech_engine.redacted import Redacted

SETTLE_US = 15 * SECOND_US
"""How long a new key is not used, so that all machines have read it before."""
TABLE = Table("ring_keys", owner="''", sealed=True)

_log = structlog.get_logger()


class NeededRing(NamedTuple):
    """A ring that no setting names. `file` had its keys in earlier versions. If it `is_used`, it must have a
    key."""

    name: str
    file: Path
    is_used: bool


class _Secret(Redacted, msgspec.Struct, frozen=True):
    key: str


class _Row(msgspec.Struct, frozen=True):
    """`key` is the id of the key. `made` is in microseconds, and below 0 if the key was taken from a file."""

    id: str
    ring: str
    key: str
    made: int
    wrapped: str
    sealed: str


_LIST = f"SELECT {columns(_Row)} FROM ring_keys ORDER BY made DESC, id"
_INSERT = f"{insert_sql('ring_keys', _Row)} ON CONFLICT DO NOTHING"


class StoredRings:
    """The rings of one worker or command. `listeners` are called when a ring changes, or when its newest key
    may be used."""

    def __init__(self, store: Store, vault: Vault) -> None:
        self.listeners: list[Callable[[], None]] = []
        self._store = store
        self._vault = vault
        self._opened: dict[str, RingKey] = {}
        self._rings: dict[str, KeyRing] = {}
        self._faults: dict[str, str] = {}
        self._reported: dict[str, str] = {}

    def ring(self, name: str) -> KeyRing | None:
        """Return the keys, the one that makes new things first. None: there never were any.

        Raises VaultFailed if none of them can be opened.
        """
        if name in self._faults and name not in self._rings:
            raise VaultFailed(self._faults[name])
        return self._rings.get(name)

    async def refresh(self) -> None:
        """Read the rows again. Raises StorageFailed."""
        rows, now = await self._rows(), await self._store.now()
        keys: dict[str, list[tuple[int, RingKey]]] = {}  # by ring: the time of each key, and the key
        faults: dict[str, str] = {}
        for row in rows:
            try:
                keys.setdefault(row.ring, []).append((row.made, self._open_key(row)))
            except VaultFailed as error:
                faults[row.ring] = str(error)
        for ring, reason in faults.items():
            self._report(ring, reason)
        before, self._faults = self._rings, faults
        self._rings = {ring: _ring_at(found, now) for ring, found in keys.items() if found}
        if {ring: [*found] for ring, found in self._rings.items()} != {
            ring: [*found] for ring, found in before.items()
        }:
            for listener in self.listeners:
                listener()

    def lacks_key(self, needed: Sequence[NeededRing]) -> bool:
        """Tell whether a ring that is used has no row."""
        known = self._rings.keys() | self._faults.keys()
        return any(each.is_used and each.name not in known for each in needed)

    async def ensure(self, needed: Sequence[NeededRing]) -> None:
        """Take over the keys in files, and make the first key of each ring that is used. The caller keeps
        other processes out. Raises StorageFailed."""
        rows = await self._rows()
        for ring, file, is_used in needed:
            known = [row for row in rows if row.ring == ring]
            try:
                taken = await asyncio.to_thread(_read_file_keys, file)
                # They get earlier times than all others, so that none is used before all machines have it.
                oldest = min([0, *(row.made for row in known)])
                new = [key for key in taken if key.id not in {row.key for row in known}]
                for number, key in enumerate(new, 1):
                    await self._add(ring, key, oldest - number)
                if is_used and not (known or taken):
                    await self._add(ring, _new_key(), await self._store.now())
            except VaultFailed as error:
                self._report(ring, str(error))

    def _report(self, ring: str, reason: str) -> None:
        # The same fault comes back at each refresh, and is logged once.
        if self._reported.get(ring) != reason:
            _log.error("ring.keys.failed", ring=ring, reason=reason)
        self._reported[ring] = reason

    async def rotate(self, ring: str, also: Sequence[Statement] = ()) -> int:
        """Add a new key, in one commit with `also`. Return the number of keys. Raises StorageFailed."""
        await self._add(ring, _new_key(), await self._store.now(), also)
        await self.refresh()
        return sum(row.ring == ring for row in await self._rows())

    async def _add(self, ring: str, key: RingKey, made: int, also: Sequence[Statement] = ()) -> None:
        id_ = new_id("rk")
        seal = await self._vault.seal_record("", id_, _Secret(b64encode(key.secret).decode()))
        row = _Row(id_, ring, key.id, made, seal.wrapped, seal.sealed)
        await self._store.write(insert(_INSERT, row), *also)

    async def _rows(self) -> list[_Row]:
        return [msgspec.convert(row, _Row) for row in await self._store.read(_LIST)]

    def _open_key(self, row: _Row) -> RingKey:
        if row.id not in self._opened:
            secret = self._vault.open_record("", row.id, SealedRecord(row.wrapped, row.sealed), _Secret)
            self._opened[row.id] = parse_keys(secret.key, row.id).newest
        return self._opened[row.id]


def _read_file_keys(file: Path) -> list[RingKey]:
    try:
        return [*parse_keys(file.read_text("ascii", "replace"), str(file))]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise VaultFailed(f"{file} cannot be read: {error.strerror}") from None


def _new_key() -> RingKey:
    return parse_keys(b64encode(new_secret()).decode(), "a new key").newest


def _ring_at(keys: Sequence[tuple[int, RingKey]], now: int) -> KeyRing:
    """Return the ring of these keys, which come with their times and the newest first. Its first key is the
    newest one that all machines have read, or else the oldest one."""
    _, oldest = keys[-1]
    first = next((key for made, key in keys if now - made >= SETTLE_US), oldest)
    return KeyRing((first, *(key for _, key in keys if key is not first)))
