"""The vault: recordings and texts of accounts, sealed on the disk.

A recording is a sealed object. Its row has its key, wrapped by the master key: without the row the object is
unreadable. A text of a row is sealed under a key of that row. The digests of an account's recordings are made
with a random key of its own, so the same bytes in two accounts are two blobs, and nothing shows that they are
the same.

An object is written before its row, and deleted after it. So an object without a row is being written, or is
left over.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from proxy.config.sections import VaultSection
from proxy.file_store import sealing
from proxy.file_store.master_keys import MasterKeySource, VaultFailed
from proxy.file_store.objects import LEFT_MARK, Folder, VaultAway, is_recording, open_objects
from proxy.file_store.sealed_file import SealedFileReader, damaged
from proxy.storage import blobs, schema, tombstones, wrapped_keys
from proxy.storage.blobs import BlobRow
from proxy.storage.disk_names import OPERATOR, DiskName, UnsafeName, account_name, owner_name
from proxy.storage.read_cache import ReadCache, read_singly
from proxy.storage.store import StorageFailed, StorageUnreachable, Store
from proxy.telemetry.background import repeat
from proxy.telemetry.metrics import Metrics
from speech_engine.redacted import Redacted

__all__ = ["SealedRecord", "Vault", "VaultFailed", "open_vault"]

_KEY_CACHED_S = 60.0
_MOST_CACHED_KEYS = 4096
TIDY_S = 60 * 60.0
_HOUR_S = 60 * 60.0
_UNUSED_US = 60 * 60 * 1_000_000
"""The longest wait of a recording until a voice or a consent names it, in microseconds."""
LEFT_OVER_S = 30 * 86_400.0
"""The time for which an object without a row stays: after a restore, the newest recordings have no rows."""
_WRITING_S = 60.0
"""The longest time for which an object without a row may be one that another process is writing."""
_TRIES = 3

_log = structlog.get_logger()
_R = TypeVar("_R", bound=msgspec.Struct)
_T = TypeVar("_T")


class SealedRecord(Redacted, msgspec.Struct, frozen=True):
    """A sealed value as two columns of its row: the wrapped key, and the value under that key."""

    wrapped: str
    sealed: str


class Vault:
    """Use `open_vault`. A method raises StorageFailed, or VaultFailed if a seal or the object store fails.

    If it `is_shared` with other machines, the machine that leads tidies it.
    """

    def __init__(self, store: Store, section: VaultSection, data: Path) -> None:
        self.objects = open_objects(section, data)
        self.is_shared = section.is_shared
        self._store = store
        self._data = data
        self._account_keys: ReadCache[str, bytes] = ReadCache(
            read_singly(self._read_account_key), lambda _key: _KEY_CACHED_S, max_weight=_MOST_CACHED_KEYS
        )
        self._under_way: set[asyncio.Task[object]] = set()
        self._being_put: set[str] = set()
        # The objects of erased recordings that have no row, and since when this process knows them.
        self._leftovers_since: dict[str, float] = {}
        self.revise(section)

    def revise(self, section: VaultSection) -> None:
        """Take the keys of a new configuration."""
        self.masters = MasterKeySource(section, self._data)

    async def put(self, account: str, plain: bytes) -> str:
        """Store a recording, and return its digest. The same bytes twice in one account are one blob.

        A voice or a consent has to name it within an hour. When this returns, it survives a power cut.
        """
        account_key = await self._account_keys.get(account)
        digest = await asyncio.to_thread(sealing.keyed_digest, account_key, plain)
        await self._finish(self._put(account, digest, plain))
        return digest

    async def open(self, account: str, digest: str) -> bytes:
        return await (await self.reader(account, digest)).whole()

    async def reader(self, account: str, digest: str) -> SealedFileReader:
        """Return a reader of a recording, which has little of it in memory. Raises VaultFailed."""
        row = await blobs.find(self._store, account, digest)
        if row is None:
            raise VaultFailed(f"there is no recording {digest[:8]}")
        try:
            return await self._reader_of(row)
        except VaultFailed:
            # Another process may have put it again meanwhile, in place of an unreadable object.
            newer = await blobs.find(self._store, account, digest)
            if newer is None or newer.object == row.object:
                raise
            return await self._reader_of(newer)

    async def drop(self, account: str, digests: Sequence[str]) -> None:
        """Delete those of the recordings that no row names: first their keys, then their objects."""
        await self._finish(self._drop(account, digests))

    async def erase(self, account: str, digests: Sequence[str]) -> None:
        """Delete recordings, with the objects of them that killed processes have left. Raises VaultFailed as
        long as another process may be writing such an object."""
        await self.drop(account, digests)
        listed = await self.objects.list(f"{owner_name(account)}/") if digests else []
        left = {each.name for each in listed if _owner_and_digest(each.name)[1] in digests}
        for digest in {_owner_and_digest(name)[1] for name in left}:
            if (row := await blobs.find(self._store, account, digest)) is not None:
                left -= _object_names([row])
        await self._finish(self._remove_left(left - self._being_put))

    async def drop_account(self, account: str) -> None:
        """Delete the key of an account, and its remaining objects. Its rows must have been deleted before."""
        folder = account_name(account)  # first, because it refuses the operator, who is no account
        await self._store.write(*blobs.delete_account_statements(account))
        self._account_keys.forget(account)
        for each in await self.objects.list(f"{folder}/"):
            with suppress(UnsafeName):  # people and NFS may have put other files there
                await self.objects.remove(each.name)

    async def new_row_key(self, account: str, row_id: str) -> tuple[bytes, str]:
        """Return a new key for a row, and the wrapped key for the row's column."""
        keys, key = await self.ensure_masters(), sealing.new_key()
        return key, keys.wrap(key, account, sealing.row_subject(row_id))

    def row_key(self, account: str, row_id: str, wrapped: str) -> bytes:
        """Return the key of a row. It does not wait. Raises VaultFailed."""
        return self._unwrap(wrapped, account, sealing.row_subject(row_id), row_id)

    async def seal_record(self, account: str, row_id: str, value: msgspec.Struct) -> SealedRecord:
        key, wrapped = await self.new_row_key(account, row_id)
        return SealedRecord(wrapped, sealing.seal_value(value, key, account, row_id))

    def open_record(self, account: str, row_id: str, record: SealedRecord, type_: type[_R]) -> _R:
        """Return the value of a row. It does not wait. Raises VaultFailed."""
        key = self.row_key(account, row_id, record.wrapped)
        try:
            return msgspec.json.decode(sealing.open_value(record.sealed, key, account, row_id), type=type_)
        except (sealing.Tampered, msgspec.MsgspecError):
            raise damaged(row_id) from None

    async def name_digest(self, account: str, name: str) -> str:
        """Return a digest of a name for a unique column, made with the account's own key."""
        account_key = await self._account_keys.get(account)
        return f"hmac:{sealing.keyed_digest(account_key, b'name:' + name.encode())}"

    async def tidy(self) -> None:
        """Remove leftovers of killed processes: unfinished files, and recordings that nothing names.

        An object without a row stays for `LEFT_OVER_S`, or for an hour if its voice or consent was erased.
        """
        try:
            # A newer version may have tables that name recordings.
            if await schema.read_version(self._store) <= schema.known_version():
                await self._tidy()
        except OSError as error:
            raise VaultFailed(f"the vault cannot be tidied: {error.strerror}") from None

    async def keep_tidy(self, metrics: Metrics) -> None:
        """Tidy now and every hour."""
        await repeat("tidying of the vault", self.tidy, TIDY_S, metrics, tidies=True)

    async def close(self) -> None:
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _reader_of(self, row: BlobRow) -> SealedFileReader:
        account, digest = row.account, row.digest
        try:
            name, subject = object_name(row), sealing.blob_subject(digest)
        except (sealing.Tampered, UnsafeName):
            raise damaged(f"recording {digest[:8]}") from None
        key = self._unwrap(row.wrapped, account, subject, f"recording {digest[:8]}")
        return await SealedFileReader.open(self.objects, name, row.size, key, account, digest)

    async def _finish(self, work: Coroutine[None, None, _T]) -> _T:
        """Carry out a change to its end, even if the caller is cancelled."""
        task: asyncio.Task[_T] = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def _put(self, account: str, digest: str, plain: bytes) -> None:
        for _ in range(_TRIES):
            before = await blobs.find(self._store, account, digest)
            if before is not None and await self._is_readable(before):
                if await blobs.touch(self._store, account, digest):
                    return
            elif await self._put_object(account, digest, plain, before):
                return
        raise VaultFailed(f"recording {digest[:8]} is put and dropped by others at the same time")

    async def _put_object(self, account: str, digest: str, plain: bytes, before: BlobRow | None) -> bool:
        """Write an object, then its row in place of an unreadable one. Return False if the row of another
        process was there first: it may have another object, or be gone again."""
        keys, key = await self.ensure_masters(), sealing.new_key()
        wrapped = keys.wrap(key, account, sealing.blob_subject(digest))
        row = BlobRow(account, digest, wrapped, len(plain), f"{digest}.{secrets.token_hex(8)}")
        name, blob = object_name(row), await asyncio.to_thread(sealing.seal, plain, key, account, digest)
        self._being_put.add(name)
        try:
            await self.objects.put(name, blob)
            try:
                is_ours = await blobs.put(self._store, row, before)
            except StorageUnreachable:
                raise  # the row may be there, or come yet
            except StorageFailed:
                await self.objects.remove(name)
                raise
            if not is_ours:
                # Another try of this commit, whose answer was lost, may have been the first one.
                found = await blobs.find(self._store, account, digest)
                is_ours = found is not None and found.object == row.object
            loser = before if is_ours else row
            if loser is not None:
                try:
                    await self.objects.remove(object_name(loser))
                except VaultFailed as error:
                    # No row names it, so `tidy` removes it later.
                    _log.warning("vault.remove.failed", reason=str(error))
            return is_ours
        finally:
            self._being_put.discard(name)

    async def _is_readable(self, row: BlobRow) -> bool:
        """Whether the recording exists and can be opened. Otherwise it is put again."""
        try:
            await (await self._reader_of(row)).whole()
        except VaultAway:
            raise
        except VaultFailed:
            return False
        return True

    async def _drop(self, account: str, digests: Sequence[str]) -> None:
        # After a failure, the next try of an erasure finds the objects again, or else `tidy` does.
        for name in _object_names(await blobs.delete_unused(self._store, account, digests)):
            await self.objects.remove(name)

    async def _remove_left(self, names: set[str]) -> None:
        now, young_count = time.monotonic(), 0
        for name in sorted(names):
            since = self._leftovers_since.setdefault(name, now)
            if self._store.is_shared and now - since < _WRITING_S and not name.endswith(LEFT_MARK):
                young_count += 1
                continue
            await self.objects.remove(name)
            del self._leftovers_since[name]
        if young_count:
            raise VaultFailed(f"{young_count} object(s) of an erased recording may be still being written")

    async def _tidy(self) -> None:
        if isinstance(self.objects, Folder):
            await self.objects.remove_unfinished(_HOUR_S)
        erased = await tombstones.list_digests(self._store)
        # The objects are listed before the rows: an object that is listed now may get its row meanwhile.
        everything = await self.objects.list()
        listed = [each for each in everything if is_recording(each.name)]
        named = _object_names(await blobs.list_all(self._store))
        marks = {each.name: each.modified for each in everything if each.name.endswith(LEFT_MARK)}
        still_left = set()
        for each in listed:
            if each.name in named:
                continue
            owner, digest = _owner_and_digest(each.name)
            # Each object has its own mark: another one of the same digest may have lost its row just now.
            mark = f"{each.name.replace('.', '-')}{LEFT_MARK}"
            still_left.add(mark)
            if mark not in marks:
                await self.objects.put(mark, b"")
                marks[mark] = time.time()
            left_s = _HOUR_S if (owner, digest) in erased else LEFT_OVER_S
            # The clock of a bucket may differ by minutes.
            if time.time() - max(marks[mark], each.modified) >= left_s:
                await self._finish(self._remove_unnamed(owner, digest, each.name))
                still_left.discard(mark)
        for mark in marks.keys() - still_left:
            await self.objects.remove(mark)
        before = await self._store.now() - _UNUSED_US
        for account, digest in await blobs.list_unused(self._store, before):
            await self.drop(account, [digest])

    async def _remove_unnamed(self, owner: str, digest: str, name: str) -> None:
        """Remove an object, unless it has got a row."""
        account = "" if owner == OPERATOR else owner
        row = await blobs.find(self._store, account, digest)
        if row is None or name not in _object_names([row]):
            await self.objects.remove(name)

    async def _read_account_key(self, account: str) -> bytes:
        wrapped = await blobs.account_key(self._store, account)
        if wrapped is None:
            new = (await self.ensure_masters()).wrap(sealing.new_key(), account, sealing.ACCOUNT_KEY_SUBJECT)
            wrapped = await blobs.add_account_key(self._store, account, new)
        return self._unwrap(
            wrapped, account, sealing.ACCOUNT_KEY_SUBJECT, f"the key of {account or OPERATOR}"
        )

    async def ensure_masters(self) -> sealing.MasterKeys:
        """Return the master keys. The first one is made only where nothing is sealed yet."""
        masters = self.masters.read_if_any()
        if masters is not None:
            return masters
        used = await wrapped_keys.list_masters(self._store)
        # The first key may have been made and used meanwhile.
        if used and (masters := self.masters.read_if_any()) is not None:
            return masters
        if used:
            raise VaultFailed(
                f"{self.masters.missing}, but key {used[0].id} sealed what is kept; bring that key back"
            )
        return await asyncio.to_thread(self.masters.ensure)

    def _unwrap(self, wrapped: str, account: str, subject: bytes, what: str) -> bytes:
        try:
            key = self.masters.read().unwrap(wrapped, account, subject)
        except sealing.Tampered:
            raise damaged(what) from None
        if key is None:
            unknown = sealing.master_id_of(wrapped)
            raise VaultFailed(f"master key {unknown} is not configured; name it in vault.old_master_keys")
        return key


@asynccontextmanager
async def open_vault(
    store: Store, data: Path, section: VaultSection, metrics: Metrics
) -> AsyncIterator[Vault]:
    vault = Vault(store, section, data)
    # The machine that leads tidies a shared vault, as a task of one server.
    tidying = None
    if not vault.is_shared:
        tidying = asyncio.create_task(vault.keep_tidy(metrics))
    try:
        yield vault
    finally:
        if tidying is not None:
            tidying.cancel()
            await asyncio.wait([tidying])
        await vault.close()


def object_name(row: BlobRow) -> str:
    """Return the name of the object of a row. Rows of earlier versions name none. Raise UnsafeName."""
    name = row.object or DiskName(row.digest)
    if not f"{name}.".startswith(f"{DiskName(row.digest)}."):
        raise UnsafeName(f"{ascii(name)[:100]} is no object of {row.digest}")
    return f"{owner_name(row.account)}/{name}"


def _object_names(rows: Iterable[BlobRow]) -> set[str]:
    """Return the names of the objects of rows. A row that a stranger wrote may have an unsafe name."""
    names = set()
    for row in rows:
        try:
            names.add(object_name(row))
        except UnsafeName as unsafe:
            _log.warning("vault.name.unsafe", reason=str(unsafe))
    return names


def _owner_and_digest(name: str) -> tuple[str, str]:
    owner, _, rest = name.partition("/")
    return owner, rest.partition(".")[0].partition("-")[0]
