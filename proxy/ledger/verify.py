"""`voxgate ledger verify`: whether the books agree with one another, by the rows alone.

Each check is one query for what contradicts; it changes nothing, and may run beside a busy server.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from proxy.storage.store import Store

_SHOWN = 20


class Contradiction(msgspec.Struct, frozen=True):
    """What is wrong, and with whom: the id of an account or a request."""

    check: str
    subject: str
    found: str


class Verdict(msgspec.Struct, frozen=True):
    """`checked` counts what was looked at. Of each check the first contradictions are listed."""

    is_clean: bool
    entries: int
    requests: int
    balances: int
    live_holds: int
    contradictions: list[Contradiction]


class _Check(NamedTuple):
    name: str
    sql: str


# Sums are cast because PostgreSQL adds bigints up to a numeric. Usage rows may be gone, since operators do
# not keep them for ever; entries never are.
_CHECKS = (
    _Check(
        "a balance is the sum of its entries",
        """
        SELECT account AS subject,
               'pool ' || pool || ': balance ' || sum(balance) || ', entries ' || sum(entries) AS found
        FROM (
            SELECT account, pool, amount AS balance, 0 AS entries FROM balances
            UNION ALL
            SELECT account, pool, 0 AS balance, amount AS entries FROM entries
        ) AS both_books
        GROUP BY account, pool HAVING sum(balance) <> sum(entries)
        """,
    ),
    _Check(
        "a request costs what its entries say",
        """
        SELECT usage.id AS subject,
               'usage ' || max(usage.credits) || ', entries ' || coalesce(-sum(entries.amount), 0) AS found
        FROM usage LEFT JOIN entries ON entries.request = usage.id AND entries.kind = 'spend'
        GROUP BY usage.id HAVING max(usage.credits) <> coalesce(-sum(entries.amount), 0)
        """,
    ),
    _Check(
        "a charge follows from its price",
        """
        SELECT id AS subject, outcome || ', ' || credits || ' for ' || samples || ' samples' AS found
        FROM usage
        WHERE outcome = 'finished' AND credits <> CASE
            WHEN samples = 0 THEN 0
            WHEN price_per = 'minute'
                THEN (samples * price_micro + 60 * sample_rate_hz - 1) / (60 * sample_rate_hz)
            WHEN price_per = 'character' THEN price_micro * characters
            ELSE price_micro END
        """,
    ),
    _Check(
        "what failed was not charged, or was given back",
        """
        SELECT id AS subject, credits || ' charged' AS found FROM usage
        WHERE outcome = 'failed' AND credits <> 0
        """,
    ),
    _Check(
        "no request spends from one pool twice, or for another account",
        """
        SELECT entries.request AS subject, count(*) || ' entries' AS found
        FROM entries LEFT JOIN usage ON usage.id = entries.request
        WHERE entries.kind = 'spend'
        GROUP BY entries.request
        HAVING count(*) > count(DISTINCT entries.pool) OR count(DISTINCT entries.account) > 1
            OR max(usage.account) <> max(entries.account)
        """,
    ),
    _Check(
        "nothing is refunded beyond what was charged",
        """
        SELECT request AS subject, 'left to pay: ' || -sum(amount) AS found FROM entries
        WHERE kind IN ('spend', 'refund') GROUP BY request HAVING sum(amount) > 0
        """,
    ),
)

_COUNTS = """
SELECT (SELECT count(*) FROM entries) AS entries, (SELECT count(*) FROM usage) AS requests,
       (SELECT count(*) FROM balances) AS balances,
       (SELECT count(*) FROM holds WHERE expires > :now) AS live_holds
"""


async def verify(store: Store) -> Verdict:
    (counts,) = await store.read(_COUNTS, {"now": await store.now()})
    found = []
    for check in _CHECKS:
        rows = await store.read(f"{check.sql} LIMIT {_SHOWN}")
        found += [Contradiction(check.name, str(row["subject"]), row["found"]) for row in rows]
    return Verdict(not found, **counts, contradictions=found)
