"""Holds as rows, on PostgreSQL: several workers or machines see each other's requests by them.

The lock and the take are two statements of one unit, so that the take sees every hold that was committed
before the lock. An expired hold is not counted, so that nothing has to remove it.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from policies.admission import Live
from policies.quota import CreditStanding, Split
from proxy.storage.rows import encode_json
from proxy.storage.store import Params, Row, Statement, Store

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(:account, 0))"
_STANDING = """
SELECT CAST(:allowance AS BIGINT)
         + coalesce((SELECT amount FROM balances WHERE account = :account AND pool = :pool), 0)
         - coalesce(sum(allowance) FILTER (WHERE pool = :pool), 0) AS allowance,
       coalesce((SELECT amount FROM balances WHERE account = :account AND pool = 0), 0)
         - coalesce(sum(granted), 0) AS granted,
       count(*) AS streams,
       count(*) FILTER (WHERE key = :key) AS key_streams
FROM holds WHERE account = :account AND expires > :now
"""
_TAKE = f"""
WITH standing AS ({_STANDING}),
taken AS (
    INSERT INTO holds (request, account, key, worker, pool, allowance, granted, expires)
    SELECT :request, :account, :key, :worker, :pool, split.part, :amount - split.part, :expires
    FROM standing,
    LATERAL (
        SELECT CAST(CASE WHEN standing.allowance IS NULL THEN :amount
                    ELSE least(:amount, greatest(0, standing.allowance)) END AS BIGINT) AS part
    ) AS split
    WHERE (CAST(:streams AS BIGINT) IS NULL OR standing.streams < :streams)
      AND (CAST(:key_streams AS BIGINT) IS NULL OR standing.key_streams < :key_streams)
      AND (standing.allowance IS NULL OR :amount <= greatest(0, standing.allowance + standing.granted))
    RETURNING allowance, granted
)
SELECT standing.*, taken.allowance AS held_allowance, taken.granted AS held_granted
FROM standing LEFT JOIN taken ON true
"""
_DROP = "DELETE FROM holds WHERE request = :request"
_NAMED = "IN (SELECT jsonb_array_elements_text(CAST(:requests AS jsonb)))"
_DROP_ALL = f"DELETE FROM holds WHERE request {_NAMED}"
# By name, and not all of the worker's: the row of a take that was given up must not live for ever.
_RENEW = f"UPDATE holds SET expires = :expires WHERE worker = :worker AND request {_NAMED}"
_SWEEP = "DELETE FROM holds WHERE expires < :long_ago"


class AccountHolds(msgspec.Struct, frozen=True):
    """The credits and running holds of an account at one moment."""

    credits: CreditStanding
    live: Live


async def take(store: Store, row_of_hold: Params) -> Split | AccountHolds:
    """Take a hold if the account's limits allow it. If not, return the account's holds at that moment.

    The SQL repeats the decision of `policies.admission.admit`: only the database sees all workers' holds.
    """
    account = {"account": row_of_hold["account"]}
    _, (row,) = await store.write(Statement(_LOCK, account), Statement(_TAKE, row_of_hold))
    if row["held_allowance"] is not None:
        return Split(row["held_allowance"], row["held_granted"])
    return _found(row)


async def find(store: Store, place: Params) -> AccountHolds:
    (row,) = await store.read(_STANDING, place)
    return _found(row)


def _found(row: Row) -> AccountHolds:
    allowance = None if row["allowance"] is None else int(row["allowance"])
    return AccountHolds(
        CreditStanding(allowance, int(row["granted"])), Live(row["streams"], row["key_streams"])
    )


def drop_statement(request: str) -> Statement:
    return Statement(_DROP, {"request": request})


async def drop(store: Store, requests: Iterable[str]) -> None:
    await store.write(Statement(_DROP_ALL, {"requests": encode_json(list(requests))}))


async def renew(store: Store, worker: str, live: Iterable[str], *, expires: int, long_ago: int) -> None:
    """Renew these holds of a worker, and delete holds that were not renewed for long."""
    renewed: Params = {"worker": worker, "requests": encode_json(list(live)), "expires": expires}
    await store.write(Statement(_RENEW, renewed), Statement(_SWEEP, {"long_ago": long_ago}))
