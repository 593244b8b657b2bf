"""Uploaded files with the lines of batches, as rows."""

from __future__ import annotations

import msgspec

from proxy.features.jobs.core.files import JobFiles
from proxy.file_store.vault import SealedRecord
from proxy.storage.blobs import drop_keys
from proxy.storage.disk_names import owner_name
from proxy.storage.listed_tables import ListedTable
from proxy.storage.store import Condition, Statement, Store, write_deletion
from proxy.storage.tables import PathColumn, Table

MOST_FILES = 100
MOST_BYTES = 256 * 1024 * 1024
"""The most bytes of all files of an account."""


class UploadedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of `bytes` bytes that is deleted when it `expires`. `digest` names its content in the vault."""

    id: str
    account: str
    created: int
    expires: int
    bytes: int
    digest: str
    wrapped: str
    sealed: str

    def __repr__(self) -> str:
        return f"<UploadedFile {self.id}, {self.bytes} bytes>"

    @property
    def seal(self) -> SealedRecord:
        return SealedRecord(self.wrapped, self.sealed)


class FileSeal(msgspec.Struct, frozen=True):
    """The sealed name of a file, as its owner gave it."""

    name: str

    def __repr__(self) -> str:
        return "<FileSeal>"


_KEYS = drop_keys("job_files", "digest")
TABLE = Table(
    "job_files",
    sealed=True,
    recordings=("digest",),
    personal=True,
    paths=(PathColumn("account", owner_name), PathColumn("digest")),
    closed_with=(_KEYS.format(only="job_files.account = :id"), "DELETE FROM job_files WHERE account = :id"),
)
FILES = ListedTable("job_files", UploadedFile)

_HAS_ROOM = """
(SELECT coalesce(sum(mine.bytes), 0) FROM job_files AS mine WHERE mine.account = :account)
    + CAST(:bytes AS BIGINT) <= CAST(:most_bytes AS BIGINT)
"""
# After a suspension, a file is stored for as long again as at first.
_OLD = """
SELECT job_files.id, account FROM job_files JOIN accounts ON accounts.id = account
WHERE expires < :now AND suspended IS NULL AND resumed + (expires - job_files.created) < :now
ORDER BY expires LIMIT :limit
"""


async def add(store: Store, file: UploadedFile) -> bool:
    """Add a file, and tell whether its account has room for it and is open."""
    row = msgspec.structs.asdict(file)
    has_room = Condition(_HAS_ROOM, {"most_bytes": MOST_BYTES})
    answers = await store.write(*FILES.add_statements(row, MOST_FILES, has_room))
    return bool(answers[-1])


async def remove(files: JobFiles, id_: str, account: str) -> bool:
    """Delete a file with its key, and tell whether it was there."""
    *_, deleted = await write_deletion(
        files.store,
        Statement(_KEYS.format(only="job_files.id = :id"), {"id": id_}),
        Statement("DELETE FROM job_files WHERE id = :id RETURNING digest", {"id": id_}),
    )
    await files.drop(account, *(row["digest"] for row in deleted))
    return bool(deleted)


async def list_old(store: Store, now: int, limit: int) -> list[tuple[str, str]]:
    """List expired files, each by its id and its account."""
    rows = await store.read(_OLD, {"now": now, "limit": limit})
    return [(row["id"], row["account"]) for row in rows]
