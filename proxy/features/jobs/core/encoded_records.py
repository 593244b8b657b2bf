"""The encoded files of jobs as rows: each names a blob, and the blobs of a file follow each other. The commit
that ends a job writes them. An erasure of a voice deletes each file in which it speaks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from proxy.storage.blobs import drop_keys
from proxy.storage.disk_names import owner_name
from proxy.storage.rows import columns
from proxy.storage.spoken_voices import BY_VOICE
from proxy.storage.store import Params, Statement, Store
from proxy.storage.tables import PathColumn, Remains, Table

Role = Literal["result", "checkpoint", "checkpoint_part", "voice_part", "onnx_part"]
"""The role of a file: a result, a checkpoint, an export, or a part that a rented machine is sending."""


class EncodedBlob(msgspec.Struct, frozen=True, kw_only=True):
    """A blob of an encoded file. `voices` are the saved voices in that file, each between blanks. Only
    results have a chapter, or the number of a file; 0 is the file of all."""

    job: str
    role: Role = "result"
    chapter: int = 0
    number: int
    account: str
    digest: str
    bytes: int
    crc32: int
    voices: str


_FIELDS = EncodedBlob.__struct_fields__
_SELECT = f"SELECT {columns(EncodedBlob)} FROM job_encoded WHERE job = :job AND"
IS_RESULT = "job_encoded.role = 'result'"
_LIST = f"{_SELECT} role = :role AND chapter = :chapter ORDER BY number"
_CHAPTERS = f"{_SELECT} {IS_RESULT} AND chapter > 0 ORDER BY chapter, number"
_STORED = "SELECT CAST(coalesce(sum(bytes), 0) AS BIGINT) AS bytes FROM job_encoded WHERE account = :account"
_KEYS = drop_keys("job_encoded", "digest")
_REMOVE = "DELETE FROM job_encoded WHERE {only} RETURNING account, digest"

TABLE = Table(
    "job_encoded",
    key=("job", "role", "chapter", "number"),
    recordings=("digest",),
    personal=True,
    paths=(PathColumn("account", owner_name), PathColumn("digest")),
    remains=Remains(
        "files", f"SELECT 1 AS is_there FROM job_encoded WHERE {BY_VOICE.format(':subject')} LIMIT 1"
    ),
    closed_with=(
        _KEYS.format(only="job_encoded.account = :id"),
        "DELETE FROM job_encoded WHERE account = :id",
    ),
)


def removal(only: str, params: Params) -> tuple[Statement, Statement]:
    """Return the deletions of the keys and of these rows. The second one returns the rows."""
    keys = Statement(_KEYS.format(only=only), params)
    return keys, Statement(_REMOVE.format(only=only), params)


def insertions(files: Sequence[EncodedBlob], finished: str) -> list[Statement]:
    """Return the statements that add these rows if the SQL `finished` is true."""
    given = {
        each.name: "BIGINT" if each.type is int else "TEXT" for each in msgspec.structs.fields(EncodedBlob)
    }
    # Each row has all of its values under names of their own, beside those of `finished`.
    values = ", ".join(f"CAST(:file_{name} AS {given[name]})" for name in _FIELDS)
    sql = f"INSERT INTO job_encoded ({columns(EncodedBlob)}) SELECT {values} WHERE {finished}"
    return [Statement(sql, {f"file_{name}": getattr(each, name) for name in _FIELDS}) for each in files]


async def list_encoded(store: Store, job: str, chapter: int | None) -> list[EncodedBlob]:
    """List the blobs of one chapter's file, of the file of all (0), or of all chapters (None)."""
    if chapter is None:
        rows = await store.read(_CHAPTERS, {"job": job})
    else:
        rows = await store.read(_LIST, {"job": job, "role": "result", "chapter": chapter})
    return [msgspec.convert(row, EncodedBlob) for row in rows]


async def stored_of(store: Store, account: str) -> int:
    """Return the bytes of all files of an account's jobs."""
    (row,) = await store.read_long(_STORED, {"account": account})
    return int(row["bytes"])


async def list_file(store: Store, job: str, role: Role) -> list[EncodedBlob]:
    rows = await store.read(_LIST, {"job": job, "role": role, "chapter": 0})
    return [msgspec.convert(row, EncodedBlob) for row in rows]
