"""Writes the files of jobs into sealed blobs of a few megabytes."""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import Callable
from operator import attrgetter

from msgspec.structs import replace

from proxy.features.jobs.core.encoded_records import EncodedBlob, Role
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.settling import run_uncancelled
from proxy.file_store.sealed_blobs import StoredFile

BLOB_BYTES = 4 * 1024 * 1024
"""The size of a blob, which is as much of a file as is in memory."""


class FileWriter:
    """Writes one file of a job. `rows` are those of its blobs, and a commit must add them within an hour.
    `digest` is the SHA-256 of the blobs in the order in which they were written. If the head was written
    last, this is not the digest of the file: then call `digest_again`."""

    def __init__(
        self,
        files: JobFiles,
        account: str,
        job: str,
        voices: str,
        role: Role = "result",
        chapter: int = 0,
        begin: Callable[[bytes], bytes] = bytes,
        head_bytes: int = 0,
    ) -> None:
        """`voices` are the saved voices in the file, as `voices_column` writes them. `begin` changes the
        first blob, which has the head of the file; `bytes` leaves it as it is. If the head is known only at
        the end, `head_bytes` is its largest size, and it gets blobs of its own: see `add_head`."""
        self.rows: list[EncodedBlob] = []
        self.digest = hashlib.sha256()
        self._files = files
        self._row = EncodedBlob(
            job=job,
            role=role,
            chapter=chapter,
            number=0,
            account=account,
            digest="",
            bytes=0,
            crc32=0,
            voices=voices,
        )
        self._begin = begin
        self._next_number = self._head_blobs = -(-head_bytes // BLOB_BYTES)
        self._buffer = bytearray()

    async def add(self, data: bytes, *, is_last: bool = False) -> None:
        """Add bytes to the file. Raises VaultFailed, StorageFailed."""
        self._buffer += data
        if len(self._buffer) >= BLOB_BYTES or (is_last and self._buffer):
            blob, number = bytes(self._buffer), self._next_number
            self._next_number += 1
            self._buffer.clear()
            await run_uncancelled(self.put(number, self._begin(blob) if number == 0 else blob))

    async def add_head(self, head: bytes) -> None:
        """Add the head of a file with `head_bytes`. Raises VaultFailed, StorageFailed."""
        size = -(-len(head) // self._head_blobs)
        for number in range(self._head_blobs):
            await run_uncancelled(self.put(number, head[number * size : (number + 1) * size]))

    async def digest_again(self) -> None:
        """Compute the digest of a file whose head was written last. Raises VaultFailed."""
        file = StoredFile.of_blobs(self._files, sorted(self.rows, key=attrgetter("number")))
        self.digest = hashlib.sha256()
        async for part in file.parts(range(file.size)):
            await asyncio.to_thread(self.digest.update, part)

    async def put(self, number: int, blob: bytes) -> EncodedBlob:
        """Store a blob of the file, and return its row. Raises VaultFailed, StorageFailed."""
        digest = await self._files.put(self._row.account, blob)
        crc32 = await asyncio.to_thread(self._update_sums, blob)
        row = replace(self._row, number=number, digest=digest, bytes=len(blob), crc32=crc32)
        self.rows.append(row)
        return row

    def _update_sums(self, blob: bytes) -> int:
        self.digest.update(blob)
        return zlib.crc32(blob)

    async def drop(self) -> None:
        """Drop the blobs that no row names."""
        await self._files.drop(self._row.account, *(row.digest for row in self.rows))
        self.rows.clear()
