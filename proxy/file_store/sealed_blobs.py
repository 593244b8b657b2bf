"""Files of features in the vault: sealed blobs with random prefixes, and ranges of their bytes."""

from __future__ import annotations

import secrets
from bisect import bisect_right
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from itertools import accumulate
from typing import NamedTuple, Protocol

from proxy.file_store.vault import Vault
from proxy.storage import blobs
from proxy.storage.store import Store

PREFIX_BYTES = 16
"""The length of the prefix of each blob."""


class SealedBlobs:
    """Blobs that a feature puts into the vault. Each has a random prefix, so that equal bytes are two blobs.
    Every method raises StorageFailed."""

    def __init__(self, store: Store, vault: Vault) -> None:
        self.store = store
        self.vault = vault

    async def put(self, account: str, data: bytes) -> str:
        """Store bytes, and return their digest. A row must name it within an hour."""
        plain = secrets.token_bytes(PREFIX_BYTES) + data
        del data  # it may be large
        return await self.vault.put(account, plain)

    async def drop(self, account: str, *digests: str) -> None:
        """Drop blobs that no row names."""
        await self.vault.drop(account, digests)

    async def drop_all(self, named: Iterable[tuple[str, str]]) -> None:
        """Drop blobs of several accounts, by account and digest, that no row names."""
        by_account = dict[str, list[str]]()
        for account, digest in named:
            by_account.setdefault(account, []).append(digest)
        for account, digests in by_account.items():
            await self.vault.drop(account, digests)

    async def keep(self, account: str, digests: Iterable[str]) -> bool:
        """Protect these blobs from being deleted as unused for another hour. False: one of them was
        deleted."""
        return all([await blobs.touch(self.store, account, digest) for digest in digests])

    async def whole(self, account: str, digest: str) -> bytes:
        return (await self.vault.open(account, digest))[PREFIX_BYTES:]

    async def ranged(self, account: str, digest: str, first: int, last: int) -> AsyncGenerator[bytes, None]:
        """Yield the bytes that were put, from `first` to before `last`, in parts."""
        if first < last:
            reader = await self.vault.reader(account, digest)
            reader.seek(PREFIX_BYTES + first)
            left = last - first
            while left:
                data = (await reader.next_part())[:left]
                left -= len(data)
                yield data

    async def read_range(self, account: str, digest: str, first: int, last: int) -> bytes:
        return b"".join([data async for data in self.ranged(account, digest, first, last)])


class BlobRange(NamedTuple):
    """The bytes of a stored blob from `first` to before `last`."""

    digest: str
    first: int
    last: int


class StoredBlob(Protocol):
    """A row that names a blob with all its bytes, as jobs have them."""

    @property
    def account(self) -> str: ...

    @property
    def digest(self) -> str: ...

    @property
    def bytes(self) -> int: ...


class StoredFile:
    """A file of bytes in memory and of blobs in the vault. Any range of it can be read."""

    def __init__(self, files: SealedBlobs, account: str, segments: Sequence[bytes | BlobRange]) -> None:
        self.segments = segments
        self._files = files
        self._account = account
        self._offsets = [*accumulate(map(_size, segments), initial=0)]

    @classmethod
    def of_blobs(
        cls, files: SealedBlobs, rows: Sequence[StoredBlob], head: bytes = b"", tag: bytes = b""
    ) -> StoredFile:
        """Return blobs one after the other, perhaps with a head before them and a tag behind."""
        segments: list[bytes | BlobRange] = [
            head,
            *(BlobRange(row.digest, 0, row.bytes) for row in rows),
            tag,
        ]
        return cls(files, rows[0].account, [each for each in segments if each])

    @property
    def size(self) -> int:
        return self._offsets[-1]

    async def read_whole(self) -> bytes:
        return b"".join([data async for data in self.parts(range(self.size))])

    async def parts(self, part: range) -> AsyncGenerator[bytes, None]:
        at = max(0, bisect_right(self._offsets, part.start) - 1)
        while at < len(self.segments) and self._offsets[at] < part.stop:
            segment, offset = self.segments[at], self._offsets[at]
            first, last = max(0, part.start - offset), min(_size(segment), part.stop - offset)
            if isinstance(segment, bytes):
                if first < last:
                    yield segment[first:last]
            else:
                places = segment.first + first, segment.first + last
                async with aclosing(self._files.ranged(self._account, segment.digest, *places)) as inner:
                    async for data in inner:
                        yield data
            at += 1


def _size(segment: bytes | BlobRange) -> int:
    return len(segment) if isinstance(segment, bytes) else segment.last - segment.first
