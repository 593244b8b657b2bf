"""The encoded files of jobs as rows: each names a blob, and those of one file follow each other.

They are written in the commit that ends a job. An erasure takes a file in which its voice speaks.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from proxy.storage.disk_names import owner_name
from proxy.storage.rows import columns
from proxy.storage.store import Params, Statement, Store
from proxy.storage.tables import PathColumn, Remains, Table

BY_VOICE = "voices <> '' AND voices LIKE '% ' || {} || ' %'"
# A blob without its row has no key any more. No other row names these: each begins otherwise.
_DROP_KEYS = """
DELETE FROM blobs WHERE EXISTS (
    SELECT 1 FROM {table} WHERE {table}.account = blobs.account AND blobs.digest IN ({names}) AND {only}
)
"""
_IS_ERASED = """
{table}.voices <> '' AND EXISTS (
    SELECT 1 FROM erasures WHERE {began}{table}.voices LIKE '% ' || erasures.subject || ' %'
)
"""


def drop_keys(table: str, only: str, *columns_: str) -> str:
    """Return SQL that drops the keys of the blobs which these columns of a table name."""
    names = ", ".join(f"{table}.{each}" for each in columns_)
    return _DROP_KEYS.format(table=table, names=names, only=only)


def is_erased(table: str, began: str = "") -> str:
    """Return SQL for a row in which a voice speaks that was erased, perhaps since it `began`."""
    return _IS_ERASED.format(table=table, began=began)


class JobFile(msgspec.Struct, frozen=True, kw_only=True):
    """A blob of an encoded file. `voices` are the saved ones in that file, each between blanks."""

    job: str
    chapter: int
    number: int
    account: str
    digest: str
    bytes: int
    crc32: int
    voices: str


_FIELDS = JobFile.__struct_fields__
_SELECT = f"SELECT {columns(JobFile)} FROM job_files WHERE job = :job AND"
_LIST = f"{_SELECT} chapter = :chapter ORDER BY chapter, number"
_CHAPTERS = f"{_SELECT} chapter > 0 ORDER BY chapter, number"
_REMOVE = "DELETE FROM job_files WHERE {only} RETURNING account, digest"

TABLE = Table(
    "job_files",
    key=("job", "chapter", "number"),
    recordings=("digest",),
    personal=True,
    paths=(PathColumn("account", owner_name), PathColumn("digest")),
    remains=Remains(
        "files", f"SELECT 1 AS is_there FROM job_files WHERE {BY_VOICE.format(':subject')} LIMIT 1"
    ),
    closed_with=(
        drop_keys("job_files", "job_files.account = :id", "digest"),
        "DELETE FROM job_files WHERE account = :id",
    ),
)


def removal(only: str, params: Params) -> tuple[Statement, Statement]:
    """Return what drops the keys of these rows, and then the rows. The second one answers with them."""
    keys = Statement(drop_keys("job_files", only, "digest"), params)
    return keys, Statement(_REMOVE.format(only=only), params)


def insertions(files: Sequence[JobFile], finished: str) -> list[Statement]:
    """Return what adds these rows if the SQL `finished` is true."""
    given = {each.name: "BIGINT" if each.type is int else "TEXT" for each in msgspec.structs.fields(JobFile)}
    # Each row has all of its values under names of their own, beside those of `finished`.
    values = ", ".join(f"CAST(:file_{name} AS {given[name]})" for name in _FIELDS)
    sql = f"INSERT INTO job_files ({columns(JobFile)}) SELECT {values} WHERE {finished}"
    return [Statement(sql, {f"file_{name}": getattr(each, name) for name in _FIELDS}) for each in files]


async def list_files(store: Store, job: str, chapter: int | None) -> list[JobFile]:
    """List the blobs of the file of a chapter, of that of all (0), or (None) of those of all chapters."""
    if chapter is None:
        rows = await store.read(_CHAPTERS, {"job": job})
    else:
        rows = await store.read(_LIST, {"job": job, "chapter": chapter})
    return [msgspec.convert(row, JobFile) for row in rows]


def voices_column(voices: Collection[str]) -> str:
    return f" {' '.join(sorted(voices))} " if voices else ""
