"""Holds as rows, on PostgreSQL: several workers or machines see each other's requests by them.

The lock comes before the take, in a statement of its own, so that the take sees every hold that was committed
before the lock. An expired hold is not counted, so that nothing has to remove it. The rows of
`policies.admission` define the holds that count for each limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from policies.admission import STREAM_LIMITS, CreditBalance, RunningRequests, Split
from proxy.storage.rows import LAST_MOMENT, encode_json
from proxy.storage.store import Params, Row, Statement, Store, Value

_COUNTS = ",\n       ".join(
    f"count(*) FILTER (WHERE {limit.counted_sql}) AS {limit.name}" for limit in STREAM_LIMITS
)
_ALLOWED = "\n              AND ".join(
    f"(most_{limit.name}[i] IS NULL OR standing.{limit.name} < most_{limit.name}[i])"
    for limit in STREAM_LIMITS
)
_TOTALS = f"""
SELECT CAST({{allowance}} AS BIGINT)
         + coalesce((SELECT amount FROM balances WHERE account = {{account}} AND pool = {{pool}}), 0)
         - coalesce(sum(allowance) FILTER (WHERE pool = {{pool}}), 0) AS allowance,
       coalesce((SELECT amount FROM balances WHERE account = {{account}} AND pool = 0), 0)
         - coalesce(sum(granted), 0) AS granted,
       {_COUNTS}
FROM holds WHERE account = {{account}} AND expires > {{now}}
"""
_FIND = _TOTALS.format(allowance=":allowance", account=":account", pool=":pool", key=":key", now=":now")
_HELD_ALLOWANCE = """
SELECT CAST(coalesce(sum(allowance), 0) AS BIGINT) AS held FROM holds
WHERE account = :account AND pool = :pool AND expires > :now
"""
# One function for many holds, so that they are one round trip. It sees what was committed before the lock,
# because each statement in a function that is VOLATILE sees the database anew. A changed function gets a new
# number: workers of the version before go on calling theirs.
# A take does not wait for the disk if all of its holds expire: it would hold the account's lock for so long.
# A crash of the database may lose holds of its last second, but a settlement needs no hold. What is committed
# later, such as the hold of a job, has the take on disk before it.
FUNCTION = f"""
CREATE OR REPLACE FUNCTION voxgate_take_holds_3(
    requests text[], accounts text[], keys text[], workers text[], pools bigint[], allowances bigint[],
    amounts bigint[], most_streams bigint[], most_key_streams bigint[], moments bigint[], ends bigint[]
) RETURNS TABLE (
    place bigint, allowance numeric, granted numeric, streams bigint, key_streams bigint,
    held_allowance bigint, held_granted bigint
) LANGUAGE plpgsql VOLATILE AS $body$
#variable_conflict use_column
BEGIN
    IF {LAST_MOMENT} > ALL (ends) THEN PERFORM set_config('synchronous_commit', 'off', true); END IF;
    FOR i IN 1 .. cardinality(requests) LOOP
        PERFORM pg_advisory_xact_lock(hashtextextended(accounts[i], 0));
        RETURN QUERY
        WITH standing AS ({
    _TOTALS.format(
        allowance="allowances[i]", account="accounts[i]", pool="pools[i]", key="keys[i]", now="moments[i]"
    )
}),
        taken AS (
            INSERT INTO holds (request, account, key, worker, pool, allowance, granted, expires)
            SELECT requests[i], accounts[i], keys[i], workers[i], pools[i], split.part,
                amounts[i] - split.part, ends[i]
            FROM standing,
            LATERAL (
                SELECT CAST(CASE WHEN standing.allowance IS NULL THEN amounts[i]
                            ELSE least(amounts[i], greatest(0, standing.allowance)) END AS BIGINT) AS part
            ) AS split
            WHERE {_ALLOWED}
              AND (standing.allowance IS NULL
                   OR amounts[i] <= greatest(0, standing.allowance + standing.granted))
            RETURNING allowance, granted
        )
        SELECT CAST(i AS BIGINT), standing.allowance, standing.granted, standing.streams,
            standing.key_streams, taken.allowance, taken.granted
        FROM standing LEFT JOIN taken ON true;
    END LOOP;
END
$body$
"""
_NAMED = "IN (SELECT jsonb_array_elements_text(CAST(:requests AS jsonb)))"
# A hold that a job has stored since under the same name stays.
_DROP_ALL = f"DELETE FROM holds WHERE request {_NAMED} AND expires < {LAST_MOMENT}"
# By name, and not all holds of the worker: the row of an abandoned take must expire.
# A row that is locked is being ended. To wait for it could block a settlement of many requests, which locks
# its rows in another order. A hold that a job has stored since has no expiry, and gets none.
_RENEW = f"""
UPDATE holds SET expires = :expires WHERE request IN (
    SELECT request FROM holds WHERE worker = :worker AND request {_NAMED} AND expires < {LAST_MOMENT}
    FOR UPDATE SKIP LOCKED
)
"""
_SWEEP = "DELETE FROM holds WHERE expires < :long_ago"


class AccountHolds(msgspec.Struct, frozen=True):
    """The credits and running holds of an account at one moment."""

    credits: CreditBalance
    live: RunningRequests


class Take(msgspec.Struct, frozen=True, kw_only=True):
    """A hold to take, if the limits of its account and its key allow it. None is no limit."""

    request: str
    account: str
    key: str
    worker: str
    pool: int
    allowance: int | None
    amount: int
    streams: int | None
    key_streams: int | None
    now: int
    expires: int


_ARRAYS = ", ".join(
    f"${number}::{'text' if field.type is str else 'bigint'}[]"
    for number, field in enumerate(msgspec.structs.fields(Take), 1)
)
POSTGRES_TAKE = f"SELECT * FROM voxgate_take_holds_3({_ARRAYS})"
"""Takes holds in order, and gives a row for each. Its arrays are those of `take_values`."""


async def install_function(store: Store) -> None:
    """Create the function that takes holds. Call it while no other process migrates."""
    await store.write(Statement(FUNCTION))


def take_values(takes: Sequence[Take]) -> tuple[list[int], tuple[Sequence[Value], ...]]:
    """Return the order in which the holds are taken, and the columns of the takes in that order.

    It is the order of the accounts: two workers that lock several of them never wait for each other.
    """
    order = sorted(range(len(takes)), key=lambda number: takes[number].account)
    rows = [msgspec.structs.astuple(takes[number]) for number in order]
    return order, tuple(zip(*rows, strict=True))


def take_result(row: Row) -> Split | AccountHolds:
    """Return the hold that was taken. If none was, return the account's holds at that moment.

    The SQL decides as `policies.admission.admit`: only the database sees all workers' holds.
    """
    if row["held_allowance"] is not None:
        return Split(row["held_allowance"], row["held_granted"])
    return _account_holds(row)


async def read_account_holds(store: Store, place: Params) -> AccountHolds:
    (row,) = await store.read(_FIND, place)
    return _account_holds(row)


def _account_holds(row: Row) -> AccountHolds:
    allowance = None if row["allowance"] is None else int(row["allowance"])
    return AccountHolds(
        CreditBalance(allowance, int(row["granted"])), RunningRequests(row["streams"], row["key_streams"])
    )


async def sum_held_allowance(store: Store, account: str, pool: int) -> int:
    params: Params = {"account": account, "pool": pool, "now": await store.now()}
    (row,) = await store.read(_HELD_ALLOWANCE, params)
    return int(row["held"])


async def drop(store: Store, requests: Iterable[str]) -> None:
    await store.write(Statement(_DROP_ALL, {"requests": encode_json(list(requests))}))


async def renew(store: Store, worker: str, live: Iterable[str], *, expires: int, long_ago: int) -> None:
    """Renew these holds of a worker, and delete holds that were not renewed for long."""
    renewed: Params = {"worker": worker, "requests": encode_json(list(live)), "expires": expires}
    await store.write(Statement(_RENEW, renewed), Statement(_SWEEP, {"long_ago": long_ago}))
