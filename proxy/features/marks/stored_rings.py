"""The keys of marks and receipts on PostgreSQL, if no setting names others: sealed rows that all machines
read."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec
import structlog

from policies.tasks import SECOND
from proxy.config.config_toml import Config
from proxy.features.marks import receipt_records
from proxy.features.marks.section import MARK_KEYS, RECEIPT_KEYS, SECTION
from proxy.file_store.key_ring import KeyRing, RingKey, parse_keys
from proxy.file_store.locked_files import new_secret
from proxy.file_store.master_keys import VaultFailed
from proxy.file_store.vault import SealedRecord, Vault
from proxy.storage.rows import insert_sql, new_id
from proxy.storage.store import Statement, Store
from proxy.storage.tables import Table

Ring = Literal["keys", "receipt_keys"]
"""A ring by the setting of [marking] that names other keys."""

SETTLE_US = 15 * SECOND
"""A new key makes nothing for so long, so that all machines have read it before."""
TABLE = Table("ring_keys", owner="''", sealed=True)

_FILES: dict[Ring, str] = {"keys": MARK_KEYS, "receipt_keys": RECEIPT_KEYS}

_log = structlog.get_logger()


class _Secret(msgspec.Struct, frozen=True):
    key: str

    def __repr__(self) -> str:
        return "<_Secret>"


class _Row(msgspec.Struct, frozen=True):
    id: str
    ring: Ring
    key: str
    made: int
    wrapped: str
    sealed: str


_LIST = "SELECT id, ring, key, made, wrapped, sealed FROM ring_keys ORDER BY made DESC, id"
_INSERT = f"{insert_sql('ring_keys', _Row)} ON CONFLICT DO NOTHING"


class StoredRings:
    """The rings of one worker or command. `listeners` are called when a ring changes, or its newest key is
    old enough to be used."""

    def __init__(self, store: Store, vault: Vault) -> None:
        self.listeners: list[Callable[[], None]] = []
        self._store = store
        self._vault = vault
        self._opened: dict[str, RingKey] = {}
        self._rings: dict[str, KeyRing] = {}
        self._faults: dict[str, str] = {}

    def ring(self, ring: Ring) -> KeyRing | None:
        """Return the keys, the one that makes new marks or receipts first. None: there never were any.

        Raises VaultFailed if none of them can be opened.
        """
        found = self._rings.get(ring)
        if found is None and ring in self._faults:
            raise VaultFailed(self._faults[ring])
        return found

    async def refresh(self) -> None:
        """Read the rows again. Raises StorageFailed."""
        rows, now = await self._rows(), await self._store.now()
        keys: dict[str, list[tuple[int, RingKey]]] = {}
        faults: dict[str, str] = {}
        for row in rows:
            try:
                keys.setdefault(row.ring, []).append((row.made, self._open(row)))
            except VaultFailed as error:
                faults[row.ring] = str(error)
        for ring in faults.keys() - self._faults.keys():
            _log.error("mark.keys.failed", ring=ring, reason=faults[ring])
        self._faults = faults
        rings = {ring: _ring_at(found, now) for ring, found in keys.items() if found}
        is_changed = {ring: [*found] for ring, found in rings.items()} != {
            ring: [*found] for ring, found in self._rings.items()
        }
        self._rings = rings
        if is_changed:
            for listener in self.listeners:
                listener()

    def lacks(self, config: Config) -> bool:
        """Tell whether a wanted ring has no row yet."""
        return any(
            is_wanted and ring not in self._rings and ring not in self._faults
            for ring, _, is_wanted in _unnamed(config)
        )

    async def ensure(self, config: Config) -> None:
        """Take over the keys in files, and make the first key of each wanted ring. The caller keeps other
        processes out. Raises StorageFailed."""
        rows = await self._rows()
        for ring, file, is_wanted in _unnamed(config):
            known = [row for row in rows if row.ring == ring]
            try:
                taken = await asyncio.to_thread(_read, file)
                # They are older than all others, so that no machine makes anything with an unknown key.
                oldest = min([0, *(row.made for row in known)])
                new = [key for key in taken if key.id not in {row.key for row in known}]
                for number, key in enumerate(new, 1):
                    await self._add(ring, key, oldest - number)
                if is_wanted and not (known or taken):
                    await self._make_first(ring)
            except VaultFailed as error:
                _log.error("mark.keys.failed", ring=ring, reason=str(error))

    async def rotate(self, ring: Ring) -> int:
        """Add a new key. Return the number of keys. Raises StorageFailed."""
        await self._add(ring, _new_key(), await self._store.now())
        await self.refresh()
        return sum(row.ring == ring for row in await self._rows())

    async def _make_first(self, ring: Ring) -> None:
        if ring == "keys" and await receipt_records.has_keyed(self._store):
            _log.error("mark.keys.gone", do="put its keys into the file mark-keys, then restart the server")
        await self._add(ring, _new_key(), await self._store.now())

    async def _add(self, ring: Ring, key: RingKey, made: int) -> None:
        id_ = new_id("rk")
        seal = await self._vault.seal_record("", id_, _Secret(b64encode(key.secret).decode()))
        row = _Row(id_, ring, key.id, made, seal.wrapped, seal.sealed)
        await self._store.write(Statement(_INSERT, msgspec.structs.asdict(row)))

    async def _rows(self) -> list[_Row]:
        return [msgspec.convert(row, _Row) for row in await self._store.read(_LIST)]

    def _open(self, row: _Row) -> RingKey:
        if row.id not in self._opened:
            record = SealedRecord(row.wrapped, row.sealed)
            secret = self._vault.open_record("", row.id, record, _Secret)
            self._opened[row.id] = parse_keys(secret.key, row.id).newest
        return self._opened[row.id]


def _unnamed(config: Config) -> Iterator[tuple[Ring, Path, bool]]:
    """Yield each ring that no setting names, with the file of earlier versions, and whether it is wanted."""
    section = SECTION.of(config)
    wanted = {"keys": bool(section.mark or section.manifests), "receipt_keys": section.receipts}
    for ring, name in _FILES.items():
        if not getattr(section, ring):
            yield ring, Path(config.data) / name, wanted[ring]


def _read(file: Path) -> list[RingKey]:
    try:
        return [*parse_keys(file.read_text("ascii", "replace"), str(file))]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise VaultFailed(f"{file} cannot be read: {error.strerror}") from None


def _new_key() -> RingKey:
    return parse_keys(b64encode(new_secret()).decode(), "a new key").newest


def _ring_at(keys: list[tuple[int, RingKey]], now: int) -> KeyRing:
    """Return the ring of keys with their moments, the newest first. The first key of the ring is the newest
    that all machines know, or the oldest."""
    maker = next((key for made, key in keys if now - made >= SETTLE_US), keys[-1][1])
    return KeyRing((maker, *(key for _, key in keys if key is not maker)))
