"""Tombstones as rows: the erasures of voices, consents and clips, and their steps that are not done.

Each write that is derived from a voice checks in its commit, by `NOT_ERASED`, that it has no tombstone.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from policies.tasks import QueuedTask
from proxy.storage.disk_names import safe_names
from proxy.storage.rows import columns, decode_json
from proxy.storage.store import Row, Store
from proxy.storage.tables import find_erasable


def is_erased_sql(id_sql: str) -> str:
    """Return SQL that is true if an id is erased. `id_sql` is its column or its parameter."""
    return f"EXISTS (SELECT 1 FROM erasures WHERE subject = {id_sql})"


NOT_ERASED = f"NOT {is_erased_sql(':voice')}"
"""SQL for a write that is derived from a voice: true as long as the voice is not erased."""


class Tombstone(QueuedTask, frozen=True, kw_only=True):
    """The erasure of the row with the id `subject`. `digests` are its recordings, and `pending` names the
    steps that are not done.

    The worker that writes it also holds its first lease, so `fence` begins at 1.
    """

    fence: int = 1
    subject: str
    account: str
    digests: tuple[str, ...]
    began: int
    completed: int | None = None
    pending: tuple[str, ...] = ()


COLUMNS = columns(Tombstone)
_GET = f"SELECT {COLUMNS} FROM erasures WHERE subject = :subject AND account = :account"
_ERASED = "SELECT subject FROM erasures WHERE subject IN ({names})"
_DIGESTS = "SELECT account, digests FROM erasures WHERE digests <> '[]'"


async def list_recordings(store: Store, subject: str) -> frozenset[str]:
    """List the recordings of a row that can be erased, or none for any other id."""
    erasable = find_erasable(store.tables, subject)
    rows = [] if erasable is None else await store.read(erasable.digests, {"subject": subject})
    return frozenset(row["digest"] for row in rows)


async def get(store: Store, account: str, subject: str) -> Tombstone | None:
    rows = await store.read(_GET, {"subject": subject, "account": account})
    return tombstone_of(rows[0]) if rows else None


async def list_erased(store: Store, subjects: Iterable[str]) -> set[str]:
    params = {f"subject{number}": subject for number, subject in enumerate(sorted(set(subjects)))}
    if not params:
        return set()
    rows = await store.read(_ERASED.format(names=", ".join(f":{name}" for name in params)), params)
    return {row["subject"] for row in rows}


async def list_digests(store: Store) -> set[tuple[str, str]]:
    """Return account and digest of all erased recordings."""
    rows = await store.read_long(_DIGESTS)
    return {(row["account"], digest) for row in rows for digest in decode_json(row["digests"])}


def tombstone_of(row: Row) -> Tombstone:
    digests = [str(name) for name in safe_names(decode_json(row["digests"]))]
    lists = {"digests": digests, "pending": decode_json(row["pending"])}
    return msgspec.convert({**row, **lists}, Tombstone)
