"""Rows of the encoded files of jobs. Each row names one blob of a file. The commit that ends a job adds them.
The erasure of a voice deletes each file in which the voice speaks."""

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

WHOLE_JOB = 0
"""The `chapter` of the file of the whole job."""
Role = Literal["result", "checkpoint", "checkpoint_part", "voice_part", "onnx_part"]
"""The role of a file: a result, a checkpoint of a training, or a part of a file that a rented machine is
sending."""


class EncodedBlob(msgspec.Struct, frozen=True, kw_only=True):
    """A blob of an encoded file. `voices` are the saved voices in this file, each between blanks. `number`
    orders the blobs. Of results, `chapter` is the number of a chapter or of a file, or WHOLE_JOB."""

    job: str
    role: Role = "result"
    chapter: int = WHOLE_JOB
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


def removal_statements(only: str, params: Params) -> tuple[Statement, Statement]:
    """Return the statements that delete the keys of these rows' blobs, and then the rows. The second one
    returns the rows."""
    keys = Statement(_KEYS.format(only=only), params)
    return keys, Statement(_REMOVE.format(only=only), params)


def insert_statements(files: Sequence[EncodedBlob], finished: str) -> list[Statement]:
    """Return the statements that add these rows if the SQL `finished` is true."""
    given = {
        each.name: "BIGINT" if each.type is int else "TEXT" for each in msgspec.structs.fields(EncodedBlob)
    }
    # The names of the values have a prefix, so that they differ from the parameters of `finished`.
    values = ", ".join(f"CAST(:file_{name} AS {given[name]})" for name in _FIELDS)
    sql = f"INSERT INTO job_encoded ({columns(EncodedBlob)}) SELECT {values} WHERE {finished}"
    return [Statement(sql, {f"file_{name}": getattr(each, name) for name in _FIELDS}) for each in files]


async def list_encoded(store: Store, job: str, chapter: int | None) -> list[EncodedBlob]:
    """List the blobs of a chapter's file, of the file of the WHOLE_JOB, or of the files of all chapters
    (None)."""
    if chapter is None:
        rows = await store.read(_CHAPTERS, {"job": job})
    else:
        rows = await store.read(_LIST, {"job": job, "role": "result", "chapter": chapter})
    return [msgspec.convert(row, EncodedBlob) for row in rows]


async def stored_bytes_of(store: Store, account: str) -> int:
    """Return the bytes of all files of an account's jobs."""
    (row,) = await store.read_long(_STORED, {"account": account})
    return int(row["bytes"])


async def list_file(store: Store, job: str, role: Role) -> list[EncodedBlob]:
    rows = await store.read(_LIST, {"job": job, "role": role, "chapter": WHOLE_JOB})
    return [msgspec.convert(row, EncodedBlob) for row in rows]
