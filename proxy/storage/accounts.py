"""Accounts as rows. An account is closed and never deleted, because its usage stays on record."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec

from policies.plans import AgreedTerms, plan_at
from proxy.storage import audit, library_revisions, schema
from proxy.storage.audit import Act
from proxy.storage.listed_tables import ListedTable, lock_account
from proxy.storage.rows import PagePlace, decode_json, encode_json, new_id
from proxy.storage.store import (
    ALWAYS,
    AlreadyExists,
    Condition,
    Params,
    Row,
    Statement,
    Store,
    write_deletion,
)


class Account(msgspec.Struct, frozen=True):
    """An account. Its cycles are counted from `anchor`. Values in `agreed` replace those of the plan.

    `plan` is the plan in force when the account was read. A paid plan ends at `paid_until`, and then
    `lapsed_plan` follows. `has_paid` is true once a payment was booked.
    """

    id: str
    name: str
    plan: str
    created: int
    closed: int | None = None
    anchor: int = 0
    agreed: AgreedTerms = AgreedTerms()
    suspended: int | None = None
    resumed: int = 0
    preferred_voice: str = ""
    favourite_voices: tuple[str, ...] = ()
    paid_until: int | None = None
    lapsed_plan: str = ""
    has_paid: bool = False


_ADJOINING_QUOTES = '""'
"""The column `favourite_voices` has each id in quotes, with nothing between them."""


def _account(row: Row) -> Account:
    """Return an account whose plan is the one in its row."""
    favourites = decode_json(
        f"[{row['favourite_voices'].replace(_ADJOINING_QUOTES, ','.join(_ADJOINING_QUOTES))}]"
    )
    fields = {
        "agreed": decode_json(row["agreed"]),
        "has_paid": bool(row["has_paid"]),
        "favourite_voices": favourites,
    }
    return msgspec.convert({**row, **fields}, Account)


def _with_plan_at(account: Account, now: int) -> Account:
    plan = plan_at(now, account.plan, account.paid_until, account.lapsed_plan)
    return msgspec.structs.replace(account, plan=plan)


ROWS = ListedTable("accounts", Account, read=_account)
_INSERT = f"""
INSERT INTO accounts (id, name, plan, created, anchor, agreed)
VALUES (:id, :name, :plan, :created, :created, :agreed) RETURNING {ROWS.columns}
"""
# An account may have the name of another one's id. Then the id wins.
_GET = f"""
{ROWS.select} id = :id_or_name OR name = :id_or_name
ORDER BY CASE WHEN id = :id_or_name THEN 0 ELSE 1 END LIMIT 1
"""
# A change is written only if the row is still as it was read. Its first statement only locks the row, so that
# a second change waits for the commit of the first.
_IS_AS_READ = "id = :of AND plan = :old_plan AND agreed = :old_agreed AND closed IS NULL"
_EXISTS_AS_READ = f"EXISTS (SELECT 1 FROM accounts WHERE {_IS_AS_READ})"
_CHANGE = f"""
UPDATE accounts SET plan = :new_plan, agreed = :new_agreed,
    paid_until = CASE WHEN :is_replanned = 1 THEN NULL ELSE paid_until END
WHERE {_IS_AS_READ} RETURNING {ROWS.columns}
"""
_WAS_CLOSED = "EXISTS (SELECT 1 FROM accounts WHERE id = :subject AND closed = :at)"
BY_PLAN = "SELECT plan, count(*) AS accounts FROM accounts WHERE closed IS NULL GROUP BY plan"
_CLOSE = f"""
UPDATE accounts SET closed = coalesce(closed, :closed), closed_by_schema = :known
WHERE id = :id RETURNING {ROWS.columns}
"""
# The accounts that an older version has closed after a migration that it does not know.
_CLOSED_BY_OLDER = f"""
SELECT id FROM accounts
WHERE closed_by_schema < :known AND {schema.is_by_older_sql("closed_by_schema", "closed")}
"""
_IS_SUSPENDED = "SELECT 1 FROM accounts WHERE id = :id AND suspended IS NOT NULL"
# The act is written before the change, and only if there is something to change.
_CAN_SUSPEND = "EXISTS (SELECT 1 FROM accounts WHERE id = :subject AND suspended IS NULL)"
_SUSPEND = f"""
UPDATE accounts SET suspended = coalesce(suspended, :at) WHERE id = :id RETURNING {ROWS.columns}
"""
_CAN_RESUME = "EXISTS (SELECT 1 FROM accounts WHERE id = :subject AND suspended IS NOT NULL)"
_RESUME = f"""
UPDATE accounts SET resumed = CASE WHEN suspended IS NULL THEN resumed ELSE CAST(:at AS BIGINT) END,
    suspended = NULL WHERE id = :id RETURNING {ROWS.columns}
"""
_UNPREFER = """
UPDATE accounts SET favourite_voices = replace(favourite_voices, '"' || :voice || '"', ''),
    preferred_voice = CASE WHEN preferred_voice = :voice THEN '' ELSE preferred_voice END
WHERE preferred_voice = :voice OR favourite_voices LIKE '%"' || :voice || '"%'
"""
_PLANS_IN_USE = """
SELECT plan FROM accounts WHERE closed IS NULL
UNION SELECT lapsed_plan FROM accounts WHERE closed IS NULL AND paid_until IS NOT NULL
"""
_NO_AGREED_TERMS = AgreedTerms()
_TRIES = 5


class Change(msgspec.Struct, frozen=True):
    """The new plan and terms of an account. If it `sets_plan`, a plan that is paid up to a moment has no end
    any more, even if it stays the same plan."""

    plan: str
    agreed: AgreedTerms
    act: Act | None = None
    sets_plan: bool = False


async def create(
    store: Store, *, name: str, plan: str, agreed: AgreedTerms = _NO_AGREED_TERMS, act: Act | None = None
) -> Account:
    """Create an account. With an act, it has the id that the act is about.

    Raises AlreadyExists when the name is taken, also by a closed account.
    """
    row: Params = {
        "id": act.subject if act else new_id("acc"),
        "name": name,
        "plan": plan,
        "created": act.at if act else await store.now(),
        "agreed": encode_json(agreed),
    }
    (created,), *_ = await store.write(Statement(_INSERT, row), *audit.insert_statements(act))
    return _account(created)


async def list_page(store: Store, place: PagePlace, limit: int, only: Condition = ALWAYS) -> list[Account]:
    """List the accounts behind this place for which the condition is true, the newest first. Closed accounts
    are listed, too."""
    now = await store.now()
    return [_with_plan_at(account, now) for account in await ROWS.page(store, None, place, limit, only=only)]


async def get(store: Store, id_or_name: str) -> Account | None:
    rows = await store.read(_GET, {"id_or_name": id_or_name})
    return _with_plan_at(_account(rows[0]), await store.now()) if rows else None


async def change(
    store: Store, account: str, decide: Callable[[Account], Awaitable[Change]]
) -> Account | Literal["overtaken"] | None:
    """Change the account of this id or name, and return it. None means that there is none.

    `decide` gets the account as it was read. Its decision is written only if the account is still the same;
    if not, the account is read and decided on again, a few times. It is "overtaken" if each time another
    change came first. A closed account is never changed. A change of the plan ends what is paid ahead: see
    `Table.replanned_with`. Forget the account's callers afterwards. Raises what `decide` raises.
    """
    for _ in range(_TRIES):
        rows = await store.read(_GET, {"id_or_name": account})
        if not rows:
            return None
        now = await store.now()
        found = _with_plan_at(_account(rows[0]), now)
        decided = await decide(found)
        # The condition compares with the text of the row, because an older version may have written the same
        # value differently.
        before: Params = {"of": found.id, "old_plan": rows[0]["plan"], "old_agreed": rows[0]["agreed"]}
        loses_end = decided.sets_plan and rows[0]["paid_until"] is not None
        is_replanned = decided.plan != found.plan or loses_end
        after: Params = {
            "new_plan": decided.plan if is_replanned else rows[0]["plan"],
            "new_agreed": encode_json(decided.agreed),
            "is_replanned": int(is_replanned),
        }
        table_sqls = [sql for table in store.tables for sql in table.replanned_with] if is_replanned else []
        unit = (
            lock_account(found.id),
            *audit.insert_statements(decided.act, _EXISTS_AS_READ, before),
            *(
                Statement(f"{sql} AND {_EXISTS_AS_READ}", {**before, "account": found.id, "at": now})
                for sql in table_sqls
            ),
            Statement(_CHANGE, {**before, **after}),
        )
        try:
            *_, changed = await store.write(*unit)
        except AlreadyExists:
            # Another commit took the id that this change would have.
            continue
        if changed:
            return _with_plan_at(_account(changed[0]), now)
    return "overtaken"


async def close(store: Store, account: str, act: Act | None = None) -> Account | None:
    """Close an account: its keys are refused from now on, and its rows without files are deleted.

    Rows with files, such as voices of recordings, must be erased afterwards. Closing twice keeps the first
    time. Forget the account's callers afterwards.
    """
    now = act.at if act else await store.now()
    row: Params = {"id": account, "closed": now, "known": schema.known_version()}
    of_tables = [Statement(sql, {"id": account}) for table in store.tables for sql in table.closed_with]
    rows, *_ = await write_deletion(
        store,
        Statement(_CLOSE, row),
        *audit.insert_statements(act, _WAS_CLOSED),
        *of_tables,
        library_revisions.raise_statement(account),
    )
    return _first_account(rows, now)


async def close_again(store: Store) -> int:
    """Close again the accounts that an older version has closed, which did not know all tables. Return their
    number."""
    found = await store.read_long(_CLOSED_BY_OLDER, {"known": schema.known_version()})
    for row in found:
        await close(store, row["id"])
    return len(found)


async def suspend(store: Store, account: str, act: Act) -> Account | None:
    """Suspend an account: its keys are refused, and nothing of it is deleted. Suspending twice keeps the
    first time. Forget its callers afterwards."""
    suspend_ = Statement(_SUSPEND, {"id": account, "at": act.at})
    *_, rows = await store.write(lock_account(account), *audit.insert_statements(act, _CAN_SUSPEND), suspend_)
    return _first_account(rows, act.at)


async def resume(store: Store, account: str, act: Act) -> Account | None:
    """End the suspension of an account. Forget its callers afterwards."""
    resume_ = Statement(_RESUME, {"id": account, "at": act.at})
    *_, rows = await store.write(lock_account(account), *audit.insert_statements(act, _CAN_RESUME), resume_)
    return _first_account(rows, act.at)


def unprefer_statement(voice: str) -> Statement:
    """Return the statement that removes a deleted voice from the preferences of all accounts. An erasure has
    such a statement already."""
    return Statement(_UNPREFER, {"voice": voice})


async def is_suspended(store: Store, account: str) -> bool:
    return bool(await store.read(_IS_SUSPENDED, {"id": account}))


async def count_by_plan(store: Store) -> dict[str, int]:
    return {row["plan"]: row["accounts"] for row in await store.read(BY_PLAN)}


async def plans_in_use(store: Store) -> frozenset[str]:
    return frozenset(str(row["plan"]) for row in await store.read(_PLANS_IN_USE))


def _first_account(rows: list[Row], now: int) -> Account | None:
    return _with_plan_at(_account(rows[0]), now) if rows else None
