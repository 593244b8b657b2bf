"""Holds as rows, on PostgreSQL: what several workers, or machines, see of each other's requests.

The lock and the look are two statements of one unit, so that the look sees every hold that was committed
before the lock was had. A hold whose time is over is not counted; nobody has to come and remove it.
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
# By name, not all of the worker's: one whose taking was given up may be there, and nobody would ever end it.
_RENEW = f"UPDATE holds SET expires = :expires WHERE worker = :worker AND request {_NAMED}"
_SWEEP = "DELETE FROM holds WHERE expires < :long_ago"


class AccountHolds(msgspec.Struct, frozen=True):
    """What the rows say of an account at one moment."""

    credits: CreditStanding
    live: Live


async def take(store: Store, wanted: Params) -> Split | AccountHolds:
    """Takes the hold where the account's limits allow it: the decision of `policies.admission.admit`, made
    where all workers meet. Where they do not, it gives what was found at that moment."""
    account = {"account": wanted["account"]}
    _, (row,) = await store.write(Statement(_LOCK, account), Statement(_TAKE, wanted))
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
    """These holds of a worker at once; and away with those that nobody has renewed for long."""
    renewed: Params = {"worker": worker, "requests": encode_json(list(live)), "expires": expires}
    await store.write(Statement(_RENEW, renewed), Statement(_SWEEP, {"long_ago": long_ago}))
