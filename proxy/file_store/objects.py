"""The objects of a vault: sealed bytes with names, in a folder or in the bucket of an S3 store.

An object is whole or not there, and no name is written twice with other bytes: a name of a recording has a
random part. So no write needs a lock or a condition, which some stores ignore.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import secrets
import time
import urllib.request
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from proxy.config.sections import VaultSection
from proxy.file_store.bounded_relay import BoundedRelay
from proxy.file_store.locked_files import LOCK, PART
from proxy.file_store.master_keys import VaultFailed
from proxy.storage.disk_names import ANSWERS, ERASURES, OPERATOR, UnsafeName, flush

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Store

RECORDINGS_FOLDER = "voices"

_TRIES, _TRY_S, _MOST_S = 3, 4.5, 10.0
_PAUSE_S = 0.2
_PART_BYTES = 8 * 1024 * 1024
_READ_BYTES = 2 * 1024 * 1024
_MOST_ANSWER_BYTES = _READ_BYTES + 256 * 1024
_OBJECT_NAME = re.compile(
    r"(?:[A-Za-z0-9][A-Za-z0-9_-]{0,79}/)?[A-Za-z0-9][A-Za-z0-9_-]{0,99}(?:\.[a-z0-9]{1,40})?"
)

LEFT_MARK = ".left"
"""An empty object `DIGEST-NONCE.left`: since it was written, an object is known to have no row."""
_UNFINISHED = (PART, LOCK)

_T = TypeVar("_T")


class VaultAway(VaultFailed):
    """The store of the objects cannot do it now. It does not mean that an object is gone."""

    is_transient = True


class VaultRefused(VaultAway):
    """The store refuses, and another try would not help: its bucket or its keys are wrong."""

    is_transient = False


class ListedObject(NamedTuple):
    """An object of a list. `modified` is in seconds, by the clock of the store."""

    name: str
    size: int
    modified: float


Listing = list[ListedObject]


class Objects(Protocol):
    """Every method raises UnsafeName for a name that leads elsewhere, and VaultFailed."""

    where: str

    async def put(self, name: str, data: bytes) -> None:
        """Write an object. On return, it survives a power cut."""
        ...

    async def read(self, name: str, start: int, length: int) -> bytes:
        """Return these bytes, or fewer at the end of the object. Raises FileNotFoundError."""
        ...

    async def remove(self, name: str) -> None:
        """Remove an object. It is no error if there is none."""
        ...

    async def list(self, prefix: str = "") -> Listing:
        """List the objects whose names begin so. It may be late, and lack the newest ones."""
        ...


def open_objects(section: VaultSection, data: Path) -> Objects:
    return Bucket(section) if section.store else Folder(recordings_folder(section, data))


def recordings_folder(section: VaultSection, data: Path) -> Path:
    return Path(section.folder) if section.folder else data / RECORDINGS_FOLDER


def safe_name(name: str) -> str:
    """Return a name of an object. Raise UnsafeName: a row or a journal may say anything."""
    if not _OBJECT_NAME.fullmatch(name):
        raise UnsafeName(f"{ascii(name)[:100]} cannot name an object")
    return name


_RECORDING_NAME = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}/[A-Za-z0-9][A-Za-z0-9_-]{0,79}(?:\.[0-9a-f]{16})?"
)


def is_recording(name: str) -> bool:
    """Tell whether an object can be a recording: people keep notes beside them."""
    return _RECORDING_NAME.fullmatch(name) is not None and name.partition("/")[0] not in (ERASURES, ANSWERS)


class Folder:
    """Objects as files. A file is written under another name and renamed, so it is never seen half."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.where = str(root)

    async def put(self, name: str, data: bytes) -> None:
        path = self.root / safe_name(name)
        await _on_disk(lambda: _write(path, data), f"{path.parent} cannot be written")

    async def read(self, name: str, start: int, length: int) -> bytes:
        path = self.root / safe_name(name)
        return await _on_disk(lambda: _read(path, start, length), f"{path.parent} cannot be read")

    async def remove(self, name: str) -> None:
        path = self.root / safe_name(name)
        await _on_disk(lambda: _remove(path, self.root), f"{path.parent} cannot be written")

    async def list(self, prefix: str = "") -> Listing:
        listed = await _on_disk(lambda: list_folder(self.root, prefix), f"{self.root} cannot be read")
        return [each for each in listed if not each.name.endswith(_UNFINISHED)]

    async def remove_unfinished(self, older_s: float) -> None:
        """Remove what killed processes were writing: parts, and the locks of earlier versions."""
        await _on_disk(lambda: _remove_unfinished(self.root, older_s), f"{self.root} cannot be written")


async def _on_disk(step: Callable[[], _T], problem: str) -> _T:
    try:
        return await asyncio.to_thread(step)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise VaultAway(f"{problem}: {error.strerror}") from None


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}{PART}")
    try:
        descriptor = _create(part)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        part.rename(path)
        flush(path.parent)
    except BaseException:
        with suppress(FileNotFoundError):
            part.unlink()
        raise


def _create(part: Path) -> int:
    while True:
        part.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.parent.mkdir(mode=0o700, exist_ok=True)
        # Another process may just have removed the last file, and with it the folder.
        with suppress(FileNotFoundError):
            return os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


def _remove_unfinished(root: Path, older_s: float) -> None:
    before = time.time() - older_s
    for each in list_folder(root):
        if each.name.endswith(_UNFINISHED) and each.modified <= before:
            _remove(root / each.name, root)


def _read(path: Path, start: int, length: int) -> bytes:
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        return file.read(length)


def _remove(path: Path, root: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()
        flush(path.parent)
        if path.parent != root:
            _remove_if_empty(path.parent)


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
            raise


def list_folder(root: Path, prefix: str = "") -> Listing:
    """List the files in `root` and in its folders. It waits for the disk. Raises OSError."""
    found = []
    folder, slash, _ = prefix.partition("/")
    for entry in _scan(root):
        if entry.is_dir(follow_symlinks=False):
            if entry.name == folder if slash else entry.name.startswith(folder):  # "NAME/" names one folder
                found += [(f"{entry.name}/{each.name}", each) for each in _scan(Path(entry.path))]
        else:
            found.append((entry.name, entry))
    listed = []
    for name, entry in found:
        if name.startswith(prefix) and entry.is_file(follow_symlinks=False):
            # Another process may remove it meanwhile.
            with suppress(FileNotFoundError):
                stat = entry.stat(follow_symlinks=False)
                listed.append(ListedObject(name, stat.st_size, stat.st_mtime))
    return listed


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


class Bucket:
    """Objects in a bucket. Each request has three attempts of 4.5 s, within 10 s."""

    def __init__(self, section: VaultSection) -> None:
        # A server with a folder needs no such library.
        import obstore

        self._obstore = obstore
        self.where = f"{section.store}{section.endpoint and ' at '}{section.endpoint}"
        # `_request` repeats all but an upload in parts: only obstore itself can repeat one of its parts.
        self._store, self._retrying = (_s3(section, retries) for retries in (0, _TRIES - 1))

    async def put(self, name: str, data: bytes) -> None:
        safe_name(name)
        if len(data) > _PART_BYTES:
            upload = partial(self._obstore.put_async, self._retrying, name, data, chunk_size=_PART_BYTES)
            await self._request(upload, tries=1)
        else:
            await self._request(
                partial(self._obstore.put_async, self._store, name, data, use_multipart=False)
            )

    async def read(self, name: str, start: int, length: int) -> bytes:
        safe_name(name)
        parts, end = list[bytes](), start + length
        while start < end:
            size = min(_READ_BYTES, end - start)
            parts.append(await self._request(partial(self._range, name, start, size)))
            start += size
            if len(parts[-1]) < size:
                break
        return b"".join(parts)

    async def remove(self, name: str) -> None:
        await self._request(partial(self._obstore.delete_async, self._store, safe_name(name)))

    async def list(self, prefix: str = "") -> Listing:
        found = await self._request(partial(self._list, prefix.rpartition("/")[0] or None))
        return [each for each in found if each.name.startswith(prefix)]

    async def _list(self, folder: str | None) -> Listing:
        return [
            ListedObject(each["path"], each["size"], each["last_modified"].timestamp())
            async for page in self._obstore.list(self._store, prefix=folder)
            for each in page
        ]

    async def _range(self, name: str, start: int, length: int) -> bytes:
        try:
            return bytes(await self._obstore.get_range_async(self._store, name, start=start, length=length))
        except self._obstore.exceptions.BaseError as error:
            if " 416 " in str(error):
                return b""  # the object ends before
            raise

    async def _request(self, request: Callable[[], Awaitable[_T]], tries: int = _TRIES) -> _T:
        errors, until = self._obstore.exceptions, time.monotonic() + _MOST_S - _PAUSE_S - _TRY_S
        for tries_left in reversed(range(tries)):
            try:
                return await request()
            except errors.BaseError as error:
                is_last = not tries_left or time.monotonic() > until
                if self._is_refusal(error) or is_last or "NoSuchBucket" in str(error):
                    raise self._failure(error) from None
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise self._failure(error) from None
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from None
            await asyncio.sleep(_PAUSE_S)
        raise AssertionError("the last try has returned or raised")

    def _is_refusal(self, error: Exception) -> bool:
        errors, text = self._obstore.exceptions, str(error)
        # The refusal of a list has no class of its own.
        return isinstance(error, errors.PermissionDeniedError | errors.UnauthenticatedError) or (
            "status code: 401" in text or "status code: 403" in text
        )

    def _failure(self, error: Exception) -> VaultAway:
        text = str(error)
        if "NoSuchBucket" in text:
            return VaultRefused(f"vault.store: there is no bucket {self.where}")
        if self._is_refusal(error):
            return VaultRefused(
                f"vault.store: {self.where} refuses: vault.access_key is wrong, or may not read and write"
            )
        return VaultAway(f"vault.store: {self.where} fails: {text.partition(chr(10))[0][:300]}")


def _s3(section: VaultSection, retries: int) -> S3Store:
    from obstore.store import S3Store

    bucket, _, prefix = section.store.removeprefix("s3://").partition("/")
    named = {
        "endpoint": section.endpoint,
        "region": section.region,
        "access_key_id": section.access_key,
        "secret_access_key": section.secret_key,
    }
    attempt = timedelta(seconds=_TRY_S)
    # `read_vault` has refused addresses without TLS.
    client: ClientConfig = {"allow_http": True, "timeout": attempt, "connect_timeout": attempt}
    # Without a forward proxy of the operator, our relay bounds the answers.
    if not urllib.request.getproxies().keys() & {"http", "https", "all"}:
        excluded = "169.254.169.254,169.254.170.2,169.254.170.23"  # where clouds give a machine its keys
        relay = BoundedRelay(_MOST_ANSWER_BYTES).url
        client |= {"proxy_url": relay, "proxy_excludes": excluded, "http1_only": True}
    return S3Store(
        bucket,
        prefix=prefix.strip("/") or None,
        client_options=client,
        retry_config={
            "max_retries": retries,
            "retry_timeout": timedelta(seconds=_MOST_S) - attempt,
            "backoff": {"init_backoff": timedelta(seconds=_PAUSE_S)},
        },
        **{name: value for name, value in named.items() if value},  # type: ignore[arg-type]  # by their names
    )


async def check_objects(objects: Objects) -> None:
    """Raise VaultFailed unless an object can be written, read, listed and removed."""
    name, content = f"{OPERATOR}/check-{secrets.token_hex(8)}", secrets.token_bytes(64)
    await objects.put(name, content)
    try:
        found = await objects.read(name, 16, 16)
    except FileNotFoundError:
        found = b""
    if found != content[16:32]:
        raise VaultFailed(f"{objects.where} does not give back what it was given")
    await objects.list(name)
    await objects.remove(name)
