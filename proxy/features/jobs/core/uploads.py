"""Rows of uploaded files, each of a few sealed blobs. A job that names a file holds its blobs until the job
is deleted, even if the file is deleted before."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from proxy.errors import InvalidRequest, NotFound
from proxy.file_store.sealed_blobs import BlobRange, SealedBlobs, StoredFile
from proxy.file_store.vault import SealedRecord
from proxy.storage.blobs import drop_keys
from proxy.storage.disk_names import owner_name
from proxy.storage.listed_tables import ListedTable
from proxy.storage.rows import in_list
from proxy.storage.store import Condition, Params, Statement, Store, write_deletion
from proxy.storage.tables import PathColumn, Table

Purpose = Literal["batch", "user_data"]
FileId = Annotated[str, Meta(min_length=1, max_length=100, description="the id of an uploaded file")]

MOST_FILES = 100
MOST_BYTES = 256 * 1024 * 1024
"""The most bytes of all files of an account."""
MOST_FILE_BYTES = 64 * 1024 * 1024
BLOB_BYTES = 1024 * 1024
"""The size of a blob. While it is sealed, four copies of it are in memory."""


class UploadedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of `bytes` bytes that is deleted when it `expires`. `digest` is that of its first blob in the
    vault. The table `job_file_blobs` has all of its blobs."""

    id: str
    account: str
    created: int
    expires: int
    bytes: int
    digest: str
    wrapped: str
    sealed: str
    purpose: Purpose = "batch"

    def __repr__(self) -> str:
        return f"<UploadedFile {self.id}, {self.bytes} bytes>"

    @property
    def seal(self) -> SealedRecord:
        return SealedRecord(self.wrapped, self.sealed)


class FileSeal(msgspec.Struct, frozen=True):
    """The sealed texts of a file: the name that its account gave it."""

    name: str

    def __repr__(self) -> str:
        return "<FileSeal>"


_KEYS = drop_keys("job_files", "digest")
_BLOB_KEYS = drop_keys("job_file_blobs", "digest")
_PATHS = (PathColumn("account", owner_name), PathColumn("digest"))
TABLES = (
    Table(
        "job_file_holds",
        key=("job", "file"),
        paths=(PathColumn("file"),),
        closed_with=("DELETE FROM job_file_holds WHERE job_file_holds.account = :id",),
    ),
    Table(
        "job_file_blobs",
        key=("file", "number"),
        recordings=("digest",),
        personal=True,
        paths=(*_PATHS, PathColumn("file")),
        closed_with=(
            _BLOB_KEYS.format(only="job_file_blobs.account = :id"),
            "DELETE FROM job_file_blobs WHERE account = :id",
        ),
    ),
    Table(
        "job_files",
        sealed=True,
        recordings=("digest",),
        personal=True,
        paths=_PATHS,
        closed_with=(
            _KEYS.format(only="job_files.account = :id"),
            "DELETE FROM job_files WHERE account = :id",
        ),
    ),
)
FILES = ListedTable("job_files", UploadedFile)

_HAS_ROOM = """
(SELECT coalesce(sum(mine.bytes), 0) FROM job_files AS mine WHERE mine.account = :account)
    + CAST(:bytes AS BIGINT) <= CAST(:most_bytes AS BIGINT)
"""
_ADD_BLOB = """
INSERT INTO job_file_blobs (file, number, account, digest, bytes)
SELECT CAST(:file AS TEXT), CAST(:number AS BIGINT), CAST(:account AS TEXT), CAST(:digest AS TEXT),
    CAST(:bytes AS BIGINT)
WHERE EXISTS (SELECT 1 FROM job_files WHERE id = :file)
"""
_BLOBS = """
SELECT digest, bytes FROM job_file_blobs WHERE file = :file AND account = :account ORDER BY number
"""
# The lock orders the commits that hold a file and those that release it.
_LOCK = "UPDATE job_file_blobs SET bytes = bytes WHERE number = 0 AND file IN ({files})"
_FILES_OF = "SELECT file FROM job_file_holds WHERE job = :going UNION ALL SELECT CAST(:going AS TEXT)"
_IS_RELEASED_BLOB = f"""
job_file_blobs.file IN ({_FILES_OF})
AND NOT EXISTS (SELECT 1 FROM job_files WHERE job_files.id = job_file_blobs.file AND job_files.id <> :going)
AND NOT EXISTS (SELECT 1 FROM job_file_holds AS others
    WHERE others.file = job_file_blobs.file AND others.job <> :going)
"""
_IS_OLD_FILE = """
job_files.id = :going AND NOT EXISTS (SELECT 1 FROM job_file_holds WHERE job_file_holds.file = job_files.id)
"""
# A job that repeats a part of another job holds that job's files, even if they were deleted.
_HOLD = """
INSERT INTO job_file_holds (job, file, account)
SELECT CAST(:job AS TEXT), file, account FROM job_file_blobs
WHERE number = 0 AND file IN ({files}) AND EXISTS (SELECT 1 FROM jobs WHERE id = :job AND created = :asked)
"""
_ARE_THERE = """
(SELECT count(*) FROM job_file_blobs AS own
WHERE own.number = 0 AND own.file IN ({files}) AND own.account = :account) = {number}
"""
_HOLDS = "SELECT file FROM job_file_holds WHERE job = :job ORDER BY file"
_IS_HELD = "EXISTS (SELECT 1 FROM job_file_holds AS holds WHERE holds.file = job_file_blobs.file)"
HELD = f"""
(SELECT coalesce(sum(job_file_blobs.bytes), 0) FROM job_file_blobs
WHERE job_file_blobs.account = :account AND {_IS_HELD})
"""
"""SQL for the bytes that the jobs of an account hold. A file counts once, however many jobs name it."""
_NOT_HELD = f"""
(SELECT coalesce(sum(bytes), 0) FROM job_file_blobs WHERE file IN ({{files}}) AND NOT {_IS_HELD})
"""
# After a suspension, a file is stored for its whole lifetime again.
_OLD = """
SELECT job_files.id, account FROM job_files JOIN accounts ON accounts.id = account
WHERE expires < :now AND suspended IS NULL AND resumed + (expires - job_files.created) < :now
ORDER BY expires LIMIT :limit
"""


class UploadWriter:
    """Writes an upload into sealed blobs while it is received. Pass it to `stream_form`, with its
    `store_full`. Then call `store_rest`. `blobs` has the digest and the size of each stored blob."""

    most_bytes = MOST_FILE_BYTES

    def __init__(self, files: SealedBlobs, account: str) -> None:
        self.blobs: list[tuple[str, int]] = []
        self.bytes = 0
        self.is_blank = True
        self.write = self._add  # for the parser of `stream_form`
        self._files = files
        self._account = account
        self._buffer = bytearray()

    async def store_full(self, _size: int) -> None:
        while len(self._buffer) >= BLOB_BYTES:
            await self._store(BLOB_BYTES)

    async def store_rest(self) -> None:
        await self.store_full(0)
        if self._buffer:
            await self._store(len(self._buffer))

    async def drop_blobs(self) -> None:
        """Drop those of the blobs that no row names."""
        await self._files.drop(self._account, *(digest for digest, _ in self.blobs))

    def _add(self, piece: bytes) -> None:
        self._buffer += piece
        self.bytes += len(piece)
        self.is_blank = self.is_blank and piece.isspace()

    async def _store(self, size: int) -> None:
        blob = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]
        self.blobs.append((await self._files.put(self._account, blob), size))


async def add_file(store: Store, file: UploadedFile, blobs: Sequence[tuple[str, int]]) -> bool:
    """Add a file of these blobs (digest and size). False: its account has no room for it, or is closed."""
    row = msgspec.structs.asdict(file)
    has_room = Condition(_HAS_ROOM, {"most_bytes": MOST_BYTES})
    adding = FILES.add_statements(row, MOST_FILES, has_room)
    of_file: Params = {"file": file.id, "account": file.account}
    parts = [
        Statement(_ADD_BLOB, {**of_file, "number": number, "digest": digest, "bytes": size})
        for number, (digest, size) in enumerate(blobs)
    ]
    answers = await store.write(*adding, *parts)
    return bool(answers[len(adding) - 1])


async def find_file(store: Store, account: str, id_: str, param: str, purpose: Purpose) -> UploadedFile:
    """Find a file that the field `param` of a request names. Raises NotFound and InvalidRequest."""
    file = await FILES.get(store, account, id_) if id_.isprintable() else None
    if file is None:
        raise NotFound(f"The file '{id_[:80]}' does not exist.", param=param, code="file_not_found")
    if file.purpose != purpose:
        raise InvalidRequest(
            f"Invalid value for '{param}': the purpose of the file must be {purpose}.", param=param
        )
    return file


async def file_content(files: SealedBlobs, file: UploadedFile) -> StoredFile:
    held = await held_content(files, file.account, file.id)
    # A file of an earlier version has no rows of blobs.
    return held if held.size else StoredFile(files, file.account, [BlobRange(file.digest, 0, file.bytes)])


async def held_content(files: SealedBlobs, account: str, id_: str) -> StoredFile:
    """Return the content of a file that a job holds. The file itself may be deleted. It is empty if nothing
    is held."""
    rows = await files.store.read(_BLOBS, {"file": id_, "account": account})
    return StoredFile(files, account, [BlobRange(row["digest"], 0, row["bytes"]) for row in rows])


async def remove_file(files: SealedBlobs, id_: str, account: str) -> bool:
    """Delete a file, and tell whether it existed. Blobs that jobs hold stay."""
    going: Params = {"going": id_}
    *_, blobs, _holds, _file_keys, deleted = await write_deletion(
        files.store,
        *removal_statements(id_),
        Statement(_KEYS.format(only=_IS_OLD_FILE), going),
        Statement("DELETE FROM job_files WHERE id = :going RETURNING account, digest", going),
    )
    await files.drop(account, *(row["digest"] for row in (*blobs, *deleted)))
    return bool(deleted)


def removal_statements(going: str) -> tuple[Statement, ...]:
    """Return the statements that release the files of a deleted job, or a deleted file. `going` is its id.
    Blobs that nothing else holds are deleted with their keys. The statement before the last one returns their
    rows."""
    params: Params = {"going": going}
    return (
        Statement(_LOCK.format(files=_FILES_OF), params),
        Statement(_BLOB_KEYS.format(only=_IS_RELEASED_BLOB), params),
        Statement(f"DELETE FROM job_file_blobs WHERE {_IS_RELEASED_BLOB} RETURNING account, digest", params),
        Statement("DELETE FROM job_file_holds WHERE job = :going", params),
    )


class FileHolds:
    """The condition and the statements by which a new job holds the files that it names, in the commit that
    adds it."""

    def __init__(self, job: str, created: int, ids: Collection[str]) -> None:
        known = sorted(set(ids))
        names, params = in_list(known or [""], "file")
        locking = (Statement(_LOCK.format(files=names), params),) if known else ()
        self.only_if = Condition(_ARE_THERE.format(files=names, number=len(known)), params, locking)
        self.new_bytes = _NOT_HELD.format(files=names)
        """SQL for the bytes that no job holds yet."""
        holding = Statement(_HOLD.format(files=names), {**params, "job": job, "asked": created})
        self.statements = (holding,) if known else ()


async def count_not_held(store: Store, ids: Collection[str]) -> int:
    """Return the bytes of these files that no job holds yet."""
    names, params = in_list([*ids] or [""], "file")
    (row,) = await store.read(f"SELECT CAST({_NOT_HELD.format(files=names)} AS BIGINT) AS bytes", params)
    return int(row["bytes"])


async def list_holds(store: Store, job: str) -> dict[str, str]:
    """Return the ids of the files that a job holds, each with a field of a request that may name it."""
    return {row["file"]: "input_file_id" for row in await store.read(_HOLDS, {"job": job})}


async def list_expired(store: Store, now: int, limit: int) -> list[tuple[str, str]]:
    """List expired files, each by its id and its account."""
    rows = await store.read(_OLD, {"now": now, "limit": limit})
    return [(row["id"], row["account"]) for row in rows]
