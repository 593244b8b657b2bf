"""How erasures write and list the rows of tombstones. See storage/tombstones.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from functools import cache

from proxy.storage import audit, library_revisions, schema
from proxy.storage.audit import Act
from proxy.storage.disk_names import safe_names
from proxy.storage.rows import encode_json, in_list
from proxy.storage.store import ALWAYS, Params, Statement, Store
from proxy.storage.tables import Erasable, Tables, find_erasable, whole_tables
from proxy.storage.task_tables import TaskTable
from proxy.storage.tombstones import COLUMNS, Tombstone, is_erased_sql, list_recordings, tombstone_of

# The first tombstone stays: its time is that of the erasure.
_INSERT = """
INSERT INTO erasures (subject, account, digests, began, pending, lease, by_schema)
SELECT :subject, :account, :digests, CAST(:began AS BIGINT), :pending, CAST(:lease AS BIGINT),
    CAST(:known AS BIGINT)
WHERE {only_if} AND {has_no_others}
ON CONFLICT (subject) DO NOTHING RETURNING subject
"""
_WAS_INSERTED = "EXISTS (SELECT 1 FROM erasures WHERE subject = :subject AND began = :began)"
_BATCH = 500
_PAGE = f"SELECT {COLUMNS} FROM erasures WHERE subject > :after ORDER BY subject LIMIT {_BATCH}"
_SINCE = f"SELECT {COLUMNS} FROM erasures WHERE began >= :since ORDER BY began"
# The erasures that an older version wrote after a migration that is newer than itself.
_BY_OLDER = f"""
SELECT {COLUMNS} FROM erasures WHERE by_schema < :known AND {schema.is_by_older_sql("by_schema", "began")}
"""
# The time 1 is long ago, so the task is due at once.
_AGAIN = """
UPDATE erasures SET by_schema = :known, digests = :digests, pending = :pending, completed = NULL, due = 1,
    lease = 0
WHERE subject = :subject AND by_schema < :known
"""
# The details of earlier acts may have the name of what is erased, so they are removed.
_SCRUB_AUDIT = "UPDATE audit SET details = '{}' WHERE subject = :subject"


@cache
def _list_sql(tables: Tables) -> str:
    return " UNION ALL ".join(
        f"SELECT id, {place} AS place FROM {table.name} WHERE account = :account"
        for place, table in enumerate(whole_tables(tables))
    )


async def digests_of(store: Store, subject: str) -> tuple[str, ...]:
    """List the recordings of something that can be erased, by their digests."""
    return digests_in(await list_recordings(store, subject))


def digests_in(recordings: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({str(name) for name in safe_names(recordings)}))


async def erase_subject(
    store: Store,
    tombstone: Tombstone,
    act: Act | None = None,
    *,
    recordings: Collection[str] | None = None,
    by_owner: bool = False,
    also: Sequence[Statement] = (),
) -> bool:
    """Write a tombstone and delete its subject, in one commit.

    Return False if the subject was erased before, if something needs it, or if it has other recordings than
    `recordings`, since one may just have been added. With `by_owner`, the account itself deletes. `also` are
    further statements for the commit; they run even if it is refused.
    """
    # Without a table for such ids, there is nothing to delete.
    erasable = find_erasable(store.tables, tombstone.subject) or Erasable("", "", ())
    subject: Params = {"subject": tombstone.subject, "began": tombstone.began}
    # A row that came back after its erasure is deleted as well. `_WAS_INSERTED` is also true for a repeated
    # erasure, whose tombstone has the stored `began`.
    is_due = _WAS_INSERTED if erasable.only_if else is_erased_sql(":subject")
    locks = [Statement(erasable.lock, subject)] if erasable.lock else []
    answers = await store.write(
        *locks,
        _insert_tombstone(tombstone, erasable, recordings),
        *audit.insert_statements(act, _WAS_INSERTED, {"began": tombstone.began}),
        Statement(f"{_SCRUB_AUDIT} AND {is_due}", subject),
        *_delete_rows(store.tables, erasable, is_due, {**subject, "by_owner": int(by_owner)}),
        library_revisions.raise_statement(tombstone.account),
        *also,
    )
    return bool(answers[len(locks)])


def _insert_tombstone(
    tombstone: Tombstone, erasable: Erasable, recordings: Collection[str] | None
) -> Statement:
    """Insert the tombstone, unless something needs the subject, or it has other recordings than these."""
    has_no_others, recording_params = _has_no_others(erasable, recordings)
    row: Params = {
        "subject": tombstone.subject,
        "account": tombstone.account,
        "digests": encode_json(tombstone.digests),
        "began": tombstone.began,
        "pending": encode_json(tombstone.pending),
        "lease": tombstone.lease,
        "known": schema.known_version(),
    }
    insert = _INSERT.format(only_if=erasable.only_if or ALWAYS.sql, has_no_others=has_no_others)
    return Statement(insert, {**row, **recording_params})


def _delete_rows(tables: Tables, erasable: Erasable, is_due: str, params: Params) -> Iterator[Statement]:
    """Delete the rows of other features that belong to the subject, and then its own."""
    for sql in (*(each for table in tables for each in table.erased_with), *erasable.deletes):
        yield Statement(f"{sql} AND {is_due}", params)


async def erase_again(store: Store, steps: Sequence[str]) -> int:
    """Erase in all tables what an older version has erased, and start all steps again. Return the number."""
    version: Params = {"known": schema.known_version()}
    tombstones = [tombstone_of(row) for row in await store.read_long(_BY_OLDER, version)]
    for each in tombstones:
        digests = {*each.digests, *await digests_of(store, each.subject)}
        values = {"digests": encode_json(sorted(digests)), "pending": encode_json(steps)}
        await erase_subject(
            store, each, also=(Statement(_AGAIN, {**version, **values, "subject": each.subject}),)
        )
    return len(tombstones)


def _has_no_others(erasable: Erasable, recordings: Collection[str] | None) -> tuple[str, Params]:
    """Return SQL that is true if something has no other recordings than these, and its parameters."""
    if recordings is None or not erasable.digests:
        return ALWAYS.sql, {}
    if not recordings:
        return f"NOT EXISTS ({erasable.digests})", {}
    names, params = in_list(sorted(recordings))
    return f"NOT EXISTS ({erasable.digests} AND digest NOT IN ({names}))", params


def may_be_needed(store: Store, subject: str) -> bool:
    """Tell whether the erasure of a subject can be refused because something needs it."""
    erasable = find_erasable(store.tables, subject)
    return erasable is not None and bool(erasable.only_if)


async def has_remains(store: Store, subject: str, step: str) -> bool:
    """Tell whether rows remain that keep this step of an erasure from being done."""
    remains = [table.remains for table in store.tables if table.remains is not None]
    for sql in [each.sql for each in remains if each.step == step]:
        if await store.read(sql, {"subject": subject}):
            return True
    return False


async def list_since(store: Store, since: int) -> list[Tombstone]:
    return [tombstone_of(row) for row in await store.read(_SINCE, {"since": since})]


async def tombstone_batches(store: Store) -> AsyncIterator[list[Tombstone]]:
    """Yield all tombstones, 500 at once."""
    after = ""
    while rows := await store.read_long(_PAGE, {"after": after}):
        yield [tombstone_of(row) for row in rows]
        after = rows[-1]["subject"]


async def list_of_account(store: Store, account: str) -> list[str]:
    """List the ids of everything of an account that can be erased. A thing comes before the things that it
    needs."""
    rows = await store.read(_list_sql(store.tables), {"account": account})
    return [row["id"] for row in sorted(rows, key=lambda row: -row["place"])]


TASKS = TaskTable("erasures", Tombstone, "completed IS NULL", key="subject", read=tombstone_of)
