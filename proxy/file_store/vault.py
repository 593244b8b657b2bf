"""The vault: recordings and texts that people own, sealed at rest. It knows owners, not speech.

A recording is a sealed file. Its row has its key, wrapped by the master key: without the row the file is
unreadable. A text of a row is sealed under a key of that row. The digests of an account's recordings are made
with a random key of its own, so the same bytes in two accounts are two blobs, and nothing shows that they are
the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from proxy.config.sections import VaultSection
from proxy.file_store import locked_files, sealed_file, sealing, vault_files
from proxy.file_store.locked_files import Lock
from proxy.file_store.master_keys import MasterKeySource, VaultFailed
from proxy.file_store.objects import open_objects
from proxy.file_store.sealed_file import SealedFileReader, damaged
from proxy.storage import blobs, schema, tombstones, wrapped_keys
from proxy.storage.blobs import BlobRow
from proxy.storage.disk_names import (
    ANSWERS,
    ERASURES,
    OPERATOR,
    DiskName,
    UnsafeName,
    account_name,
    owner_name,
)
from proxy.storage.read_cache import ReadCache, of_one
from proxy.storage.rows import new_id
from proxy.storage.store import StorageFailed, Store
from proxy.telemetry.background import RepeatingTask
from proxy.telemetry.metrics import Metrics

__all__ = ["SealedRecord", "Vault", "VaultFailed", "open_vault"]

FOLDER = "voices"
IDENTITY = "voxgate-vault"
_CACHED_S = 60.0
_MOST_STORED = 4096
_LOOK_AGAIN_S = 0.01
_TIDY_S = 60 * 60.0
_UNUSED_US = 60 * 60 * 1_000_000
"""The longest wait of a recording until a voice or a consent names it, in microseconds."""
LEFT_OVER_S = 30 * 86_400.0
"""The time for which a file without a row stays: after a restore, the newest recordings have no rows."""

_log = structlog.get_logger()
_R = TypeVar("_R", bound=msgspec.Struct)
_T = TypeVar("_T")


class SealedRecord(msgspec.Struct, frozen=True):
    """A sealed value as two columns of its row: the wrapped key, and the value under that key."""

    wrapped: str
    sealed: str

    def __repr__(self) -> str:
        return "<SealedRecord>"


class Vault:
    """Use `open_vault`. Every method raises StorageFailed; VaultFailed is that of seals and files."""

    def __init__(self, store: Store, section: VaultSection, data: Path) -> None:
        self._store = store
        self._data = data
        self._account_keys: ReadCache[str, bytes] = ReadCache(
            of_one(self._read_account_key), lambda _key: _CACHED_S, max_weight=_MOST_STORED
        )
        self._under_way: set[asyncio.Task[object]] = set()
        self.objects = open_objects(section, data)
        self.is_shared = section.is_shared
        self.revise(section)

    def __repr__(self) -> str:
        return f"<Vault in {self._root}, {self.masters!r}>"

    def revise(self, section: VaultSection) -> None:
        """Take the keys of a new configuration."""
        self.masters = MasterKeySource(section, self._data)
        self._root = recordings_folder(section, self._data)

    async def put(self, account: str, plain: bytes) -> str:
        """Store a recording, and return its digest. The same bytes twice in one account are one blob.

        A voice or a consent has to name it within an hour. When this returns, it is on the disk.
        """
        account_key = await self._account_keys.get(account)
        digest = await asyncio.to_thread(sealing.digest_of, account_key, plain)
        await self._finish(self._put(account, digest, plain))
        return digest

    async def open(self, account: str, digest: str) -> bytes:
        key = await self._key_of(account, digest)
        return await asyncio.to_thread(sealed_file.read, self._path(account, digest), key, account, digest)

    async def reader(self, account: str, digest: str) -> SealedFileReader:
        """Return a reader of a recording, which has little of it in memory. Raises what `open` raises."""
        key = await self._key_of(account, digest)
        return await asyncio.to_thread(SealedFileReader, self._path(account, digest), key, account, digest)

    async def drop(self, account: str, digests: Sequence[str]) -> None:
        """Drop the recordings that no sample and no consent names: first the keys, then the files."""
        await self._finish(self._drop(account, digests))

    async def drop_account(self, account: str) -> None:
        """Drop the key of an account, and the rest of its files. Its rows must be deleted before."""
        folder = account_name(account)  # this comes first; the operator is no account
        await self._store.write(blobs.delete_account_key_statement(account))
        self._account_keys.forget(account)
        await asyncio.to_thread(vault_files.remove_folder, self._root, folder)

    async def new_row_key(self, account: str, row_id: str) -> tuple[bytes, str]:
        """Return a new key of a row, and the same wrapped for the row's column."""
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
        return f"hmac:{sealing.digest_of(account_key, b'name:' + name.encode())}"

    async def tidy(self) -> None:
        """Remove leftovers of killed processes: unfinished files, and recordings that nothing names.

        A file without a row stays for `LEFT_OVER_S`, except if its voice or consent was erased.
        """
        try:
            # A newer version may have tables that name recordings.
            if await schema.version_of(self._store) <= schema.known_version():
                await self._tidy()
        except (OSError, StorageFailed) as error:
            _log.warning("vault.tidy.failed", reason=str(error))

    async def close(self) -> None:
        while self._under_way:
            await asyncio.wait(self._under_way)

    def _path(self, account: str, digest: str) -> Path:
        return _path(self._root, account, digest)

    async def _key_of(self, account: str, digest: str) -> bytes:
        row = await blobs.find(self._store, account, digest)
        if row is None:
            raise VaultFailed(f"there is no recording {digest[:8]}")
        try:
            subject = sealing.blob_subject(digest)
        except sealing.Tampered:
            raise damaged(f"recording {digest[:8]}") from None
        return self._unwrap(row.wrapped, account, subject, f"recording {digest[:8]}")

    async def _finish(self, work: Coroutine[None, None, _T]) -> _T:
        """Carry out a change to its end, even if the caller is cancelled: it holds a lock."""
        task: asyncio.Task[_T] = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def _put(self, account: str, digest: str, plain: bytes) -> None:
        path = self._path(account, digest)
        lock = await _take(path)
        try:
            if await self._is_stored(account, digest):
                return
            keys, key = await self.ensure_masters(), sealing.new_key()
            wrapped = keys.wrap(key, account, sealing.blob_subject(digest))
            blob = await asyncio.to_thread(sealing.seal, plain, key, account, digest)
            await _on_disk(partial(vault_files.write, lock, blob), path)
            try:
                await blobs.put(self._store, BlobRow(account, digest, wrapped, len(plain)))
            except BaseException:
                await asyncio.to_thread(lock.drop_whole, path.name)
                raise
        finally:
            await asyncio.to_thread(lock.release)

    async def _is_stored(self, account: str, digest: str) -> bool:
        """Whether the recording exists and can be opened. Otherwise it is put again."""
        try:
            await self.open(account, digest)
        except VaultFailed:
            return False
        return await blobs.touch(self._store, account, digest)

    async def _drop(self, account: str, digests: Sequence[str]) -> None:
        await blobs.delete_unused(self._store, account, digests)
        for digest in digests:
            try:
                path = self._path(account, digest)
            except UnsafeName as unsafe:
                # It cannot name a file of ours, so there is nothing to remove.
                _log.warning("vault.name.unsafe", reason=str(unsafe))
                continue
            # This includes files without a row, since an earlier deletion may have been killed.
            if await asyncio.to_thread(path.exists):
                await self._remove_left_over(account, digest)

    async def _remove_left_over(self, account: str, digest: str, after_s: float = 0.0) -> None:
        """Remove a file that has had no row for `LEFT_OVER_S`, unless it was put once more."""
        path = self._path(account, digest)
        lock = await _take(path)
        try:
            if await blobs.find(self._store, account, digest) is not None:
                return
            if not after_s or await _on_disk(partial(vault_files.left_over_s, path), path) >= after_s:
                await _on_disk(partial(vault_files.remove, lock, path.name), path)
        finally:
            await asyncio.to_thread(lock.release)

    async def _tidy(self) -> None:
        known = await blobs.list_all(self._store)
        erased = await tombstones.list_digests(self._store)
        # The rows are read first: a file that is made meanwhile is checked again under its lock.
        for path in await asyncio.to_thread(vault_files.list_files, self._root):
            account = "" if path.parent.name == OPERATOR else path.parent.name
            name = (account, path.name)
            if path.suffix == vault_files.LEFT:
                has_row = (account, path.stem) in known
                await asyncio.to_thread(vault_files.review_mark, path, has_row=has_row)
            elif path.suffix in (locked_files.PART, locked_files.LOCK):
                await asyncio.to_thread(vault_files.remove_half, path)
            elif name not in known and _is_ours(path):
                await self._finish(self._remove_left_over(*name, 0.0 if name in erased else LEFT_OVER_S))
        before = await self._store.now() - _UNUSED_US
        for account, digest in await blobs.list_unused(self._store, before):
            await self.drop(account, [digest])

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
            unknown = sealing.id_of_master(wrapped)
            raise VaultFailed(f"master key {unknown} is not configured; name it in vault.old_master_keys")
        return key


@asynccontextmanager
async def open_vault(
    store: Store, data: Path, section: VaultSection, metrics: Metrics
) -> AsyncIterator[Vault]:
    vault = Vault(store, section, data)
    # At once, and every hour.
    tidying = RepeatingTask("tidying of the vault", vault.tidy, _TIDY_S, metrics)
    try:
        yield vault
    finally:
        await tidying.close()
        await vault.close()


def recording_path(section: VaultSection, data: Path, account: str, digest: str) -> Path:
    return _path(recordings_folder(section, data), account, digest)


def vault_identity(section: VaultSection, data: Path, *, may_make: bool) -> str:
    """Return the id of the vault itself, which distinguishes it from those of other servers. It waits for the
    disk. "": it has none, and none may be made. Raises VaultFailed."""
    file = recordings_folder(section, data) / IDENTITY
    try:
        if not may_make:
            return file.read_text("ascii", "replace").strip()
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return locked_files.ensure_secret(file, new_id("vlt").encode).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise VaultFailed(f"vault.folder: {file} cannot be used: {error.strerror}") from None


def recordings_folder(section: VaultSection, data: Path) -> Path:
    return Path(section.folder) if section.folder else data / FOLDER


def _path(root: Path, account: str, digest: str) -> Path:
    return root / owner_name(account) / DiskName(digest)


def _is_ours(path: Path) -> bool:
    """Tell whether a file of the folder can be a recording: people keep notes beside them."""
    if path.parent.name in (ERASURES, ANSWERS):
        return False
    try:
        DiskName(path.parent.name), DiskName(path.name)
    except UnsafeName:
        return False
    return True


async def _take(path: Path) -> Lock:
    """Take the lock of a file. Another worker, or another task, may have it for a moment.

    No thread waits for it: its holder needs one.
    """
    lock = None
    while lock is None:
        if (lock := await _on_disk(partial(locked_files.take, path), path)) is None:
            await asyncio.sleep(_LOOK_AGAIN_S)
    return lock


async def _on_disk(step: Callable[[], _T], path: Path) -> _T:
    try:
        return await asyncio.to_thread(step)
    except OSError as error:
        raise VaultFailed(f"{path.parent} cannot be written: {error.strerror}") from None
