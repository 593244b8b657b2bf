"""Tombstones as rows: each erasure of something that people own, and the steps that are not done.

Each write that is derived from a voice checks for a tombstone in its commit, by `NOT_ERASED`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from functools import cache

import msgspec

from policies.tasks import QueuedTask
from proxy.storage import audit, library_revisions, schema
from proxy.storage.audit import Act
from proxy.storage.disk_names import safe_names
from proxy.storage.rows import any_of, columns, decode_json, encode_json
from proxy.storage.store import ALWAYS, Params, Row, Statement, Store
from proxy.storage.tables import Erasable, Tables, erasable_of, wholes
from proxy.storage.task_tables import TaskTable


def erased(id_sql: str) -> str:
    """Return SQL that is true if an id is erased. `id_sql` is its column or its parameter."""
    return f"EXISTS (SELECT 1 FROM erasures WHERE subject = {id_sql})"


NOT_ERASED = f"NOT {erased(':voice')}"
"""SQL for a write that is derived from a voice: true as long as the voice is not erased."""

BY_VOICE = "voices <> '' AND voices LIKE '% ' || {} || ' %'"
"""SQL that is true if a voice is in the column `voices`, which `voices_column` makes. `{}` is the SQL for the
voice's id."""
_HAS_ERASED = """
{table}.voices <> '' AND EXISTS (
    SELECT 1 FROM erasures WHERE {began}{table}.voices LIKE '% ' || erasures.subject || ' %'
)
"""


def voices_column(voices: Collection[str]) -> str:
    """Return the saved voices that spoke in a sound, each between blanks."""
    return f" {' '.join(sorted(voices))} " if voices else ""


def has_erased(table: str, began: str = "") -> str:
    """Return SQL that is true if an erased voice is in the column `voices`.

    `began` is a condition on the erasures that ends with AND, or "".
    """
    return _HAS_ERASED.format(table=table, began=began)


class Tombstone(QueuedTask, frozen=True, kw_only=True):
    """The erasure of something. `digests` are its recordings, and `pending` names the steps that are not
    done.

    The worker that writes it also holds its first lease, so `fence` begins at 1.
    """

    fence: int = 1
    subject: str
    account: str
    digests: tuple[str, ...]
    began: int
    completed: int | None = None
    pending: tuple[str, ...] = ()


_COLUMNS = columns(Tombstone)
# The first tombstone stays: its time is that of the erasure.
_INSERT = """
INSERT INTO erasures (subject, account, digests, began, pending, lease, by_schema)
SELECT :subject, :account, :digests, CAST(:began AS BIGINT), :pending, CAST(:lease AS BIGINT),
    CAST(:known AS BIGINT)
WHERE {only_if} AND {has_no_others}
ON CONFLICT (subject) DO NOTHING RETURNING subject
"""
_WAS_INSERTED = "EXISTS (SELECT 1 FROM erasures WHERE subject = :subject AND began = :began)"
_GET = f"SELECT {_COLUMNS} FROM erasures WHERE subject = :subject AND account = :account"
_ANY = "SELECT subject FROM erasures WHERE subject IN ({names})"
_BATCH = 500
_PAGE = f"SELECT {_COLUMNS} FROM erasures WHERE subject > :after ORDER BY subject LIMIT {_BATCH}"
_DIGESTS = "SELECT account, digests FROM erasures WHERE digests <> '[]'"
_SINCE = f"SELECT {_COLUMNS} FROM erasures WHERE began >= :since ORDER BY began"
# The erasures that an older version wrote after a migration that is newer than itself.
_BY_OLDER = f"""
SELECT {_COLUMNS} FROM erasures WHERE by_schema < :known AND {schema.since_unknown("by_schema", "began")}
"""
# 1 is long ago, so the task is due at once.
_AGAIN = """
UPDATE erasures SET by_schema = :known, digests = :digests, pending = :pending, completed = NULL, due = 1,
    lease = 0
WHERE subject = :subject AND by_schema < :known
"""
# The details of earlier acts may have the name of what is erased, so they are removed.
_SCRUB_AUDIT = "UPDATE audit SET details = '{}' WHERE subject = :subject"


@cache
def _of_account(tables: Tables) -> str:
    return " UNION ALL ".join(
        f"SELECT id, {place} AS place FROM {table.name} WHERE account = :account"
        for place, table in enumerate(wholes(tables))
    )


@cache
def _closed_owners(tables: Tables) -> str:
    # A closed account loses its key last.
    owning = (*(table.name for table in wholes(tables)), "account_keys")
    has_one = " OR ".join(f"EXISTS (SELECT 1 FROM {name} WHERE account = accounts.id)" for name in owning)
    return f"SELECT id FROM accounts WHERE closed IS NOT NULL AND ({has_one}) ORDER BY id"


async def recordings_of(store: Store, subject: str) -> frozenset[str]:
    """List the recordings of something that can be erased, as its rows name them."""
    erasable = erasable_of(store.tables, subject)
    rows = [] if erasable is None else await store.read(erasable.digests, {"subject": subject})
    return frozenset(row["digest"] for row in rows)


async def digests_of(store: Store, subject: str) -> tuple[str, ...]:
    """List the recordings of something that can be erased, by their digests."""
    return digests_in(await recordings_of(store, subject))


def digests_in(recordings: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({str(name) for name in safe_names(recordings)}))


async def erase(
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
    row: Params = {
        "subject": tombstone.subject,
        "account": tombstone.account,
        "digests": encode_json(tombstone.digests),
        "began": tombstone.began,
        "pending": encode_json(tombstone.pending),
        "lease": tombstone.lease,
        "known": schema.known_version(),
    }
    subject: Params = {"subject": tombstone.subject, "began": tombstone.began}
    erasable = erasable_of(store.tables, tombstone.subject) or Erasable("", "", ())
    held = (Statement(erasable.hold, subject),) if erasable.hold else ()
    has_no_others, recording_params = _has_no_others(erasable, recordings)
    insert = _INSERT.format(only_if=erasable.only_if or ALWAYS.sql, has_no_others=has_no_others)
    # A row that came back after its erasure is deleted as well. `_WAS_INSERTED` is also true for a repeated
    # erasure, whose tombstone has the stored `began`.
    is_due = _WAS_INSERTED if erasable.only_if else erased(":subject")
    answers = await store.write(
        *held,
        Statement(insert, {**row, **recording_params}),
        *audit.insert_statements(act, _WAS_INSERTED, {"began": tombstone.began}),
        Statement(f"{_SCRUB_AUDIT} AND {is_due}", subject),
        *(
            Statement(f"{sql} AND {is_due}", {**subject, "by_owner": int(by_owner)})
            for sql in (*(each for table in store.tables for each in table.erased_with), *erasable.deletes)
        ),
        library_revisions.raise_statement(tombstone.account),
        *also,
    )
    return bool(answers[len(held)])


async def erase_again(store: Store, steps: Sequence[str]) -> int:
    """Erase in all tables what an older version has erased, and begin its steps anew. Return the number."""
    version: Params = {"known": schema.known_version()}
    found = [_tombstone(row) for row in await store.read_long(_BY_OLDER, version)]
    for each in found:
        digests = {*each.digests, *await digests_of(store, each.subject)}
        lists = {"digests": encode_json(sorted(digests)), "pending": encode_json(steps)}
        await erase(store, each, also=(Statement(_AGAIN, {**version, **lists, "subject": each.subject}),))
    return len(found)


def _has_no_others(erasable: Erasable, recordings: Collection[str] | None) -> tuple[str, Params]:
    """Return SQL that is true if something has no other recordings than these, and its parameters."""
    if recordings is None or not erasable.digests:
        return ALWAYS.sql, {}
    if not recordings:
        return f"NOT EXISTS ({erasable.digests})", {}
    names, params = any_of(sorted(recordings))
    return f"NOT EXISTS ({erasable.digests} AND digest NOT IN ({names}))", params


def may_be_needed(store: Store, subject: str) -> bool:
    """Tell whether the erasure of a subject can be refused because something needs it."""
    erasable = erasable_of(store.tables, subject)
    return erasable is not None and bool(erasable.only_if)


async def is_left(store: Store, subject: str, step: str) -> bool:
    """Tell whether rows remain that keep this step of an erasure from being done."""
    remains = [table.remains for table in store.tables if table.remains is not None]
    for sql in [each.sql for each in remains if each.step == step]:
        if await store.read(sql, {"subject": subject}):
            return True
    return False


async def get(store: Store, account: str, subject: str) -> Tombstone | None:
    rows = await store.read(_GET, {"subject": subject, "account": account})
    return _tombstone(rows[0]) if rows else None


async def list_erased(store: Store, subjects: Iterable[str]) -> set[str]:
    names = {f"subject{number}": subject for number, subject in enumerate(sorted(set(subjects)))}
    if not names:
        return set()
    rows = await store.read(_ANY.format(names=", ".join(f":{name}" for name in names)), names)
    return {row["subject"] for row in rows}


async def list_digests(store: Store) -> set[tuple[str, str]]:
    """Return account and digest of all erased recordings."""
    rows = await store.read_long(_DIGESTS)
    return {(row["account"], digest) for row in rows for digest in decode_json(row["digests"])}


async def list_since(store: Store, since: int) -> list[Tombstone]:
    return [_tombstone(row) for row in await store.read(_SINCE, {"since": since})]


async def batches(store: Store) -> AsyncIterator[list[Tombstone]]:
    """Yield all tombstones, 500 at once."""
    after = ""
    while rows := await store.read_long(_PAGE, {"after": after}):
        yield [_tombstone(row) for row in rows]
        after = rows[-1]["subject"]


async def list_of_account(store: Store, account: str) -> list[str]:
    """List the ids of everything of an account that can be erased. A thing comes before the things that it
    needs."""
    rows = await store.read(_of_account(store.tables), {"account": account})
    return [row["id"] for row in sorted(rows, key=lambda row: -row["place"])]


async def list_closed_owners(store: Store) -> list[str]:
    """List the closed accounts that still have something that can be erased."""
    return [row["id"] for row in await store.read_long(_closed_owners(store.tables))]


def _tombstone(row: Row) -> Tombstone:
    digests = [str(name) for name in safe_names(decode_json(row["digests"]))]
    lists = {"digests": digests, "pending": decode_json(row["pending"])}
    return msgspec.convert({**row, **lists}, Tombstone)


TASKS = TaskTable("erasures", Tombstone, "completed IS NULL", key="subject", read=_tombstone)
