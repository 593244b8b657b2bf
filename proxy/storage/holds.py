"""Holds as rows on PostgreSQL, by which several workers or machines see each other's requests.

To take a hold, a first statement locks the account, so that the next one sees every hold that was committed
before. An expired hold is not counted, so that nothing has to remove it in time. `STREAM_LIMITS` says which
holds count for each limit.
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
# One function takes many holds, in one round trip. It sees all that was committed before the lock, because in
# a VOLATILE function each statement sees the database anew. A changed function gets a new number, because
# workers of the version before go on calling theirs. The commit does not wait for the disk if all holds
# expire: it would hold the lock of the account for so long. A crash of the database may lose the holds of its
# last second, but a settlement needs no hold. Any later commit that waits for the disk, such as that of a
# durable hold, brings them to the disk, too.
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
# A durable hold of the same request stays.
_DROP_ALL = f"DELETE FROM holds WHERE request {_NAMED} AND expires < {LAST_MOMENT}"
# The requests are named, since other holds of this worker may be abandoned and must expire. A locked row is
# being deleted by a settlement, which locks its rows in another order: waiting for it could deadlock. Durable
# holds do not expire, so they are not renewed.
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
    """A hold to take, if the limits of its account and its key allow it. A limit that is None does not
    count."""

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
    """Return the numbers of the takes in the order of their accounts, and the columns of the takes in this
    order. All workers lock accounts in this order, so that no two wait for each other."""
    order = sorted(range(len(takes)), key=lambda number: takes[number].account)
    rows = [msgspec.structs.astuple(takes[number]) for number in order]
    return order, tuple(zip(*rows, strict=True))


def take_result(row: Row) -> Split | AccountHolds:
    """Return the split of the hold that was taken, or the account's holds if the SQL refused it.

    The SQL has the rule of `policies.admission.admit`, because only the database sees the holds of all
    workers.
    """
    if row["held_allowance"] is not None:
        return Split(row["held_allowance"], row["held_granted"])
    return _account_holds(row)


async def read_account_holds(store: Store, params: Params) -> AccountHolds:
    """Read the holds. `params` are account, key, pool, now, and the allowance, None without a limit."""
    (row,) = await store.read(_FIND, params)
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
    """Renew these holds of a worker, and delete all holds that expired before `long_ago`."""
    renewed: Params = {"worker": worker, "requests": encode_json(list(live)), "expires": expires}
    await store.write(Statement(_RENEW, renewed), Statement(_SWEEP, {"long_ago": long_ago}))
