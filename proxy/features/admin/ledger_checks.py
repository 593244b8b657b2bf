"""The checks of the books: each is a query for rows of one table that contradict other rows.

A query reads the rows with ids after `:after` and up to `:upto`. Of each wrong row it returns `subject` and
`found`. The ids of entries follow from their request, so rows that belong together are found by primary keys.
"""

from __future__ import annotations

from collections.abc import Mapping

from proxy.errors import REQUEST_FAULT_CODES

_OF_USAGE = "usage.id > :after AND usage.id <= :upto"
_OF_ENTRIES = "entries.id > :after AND entries.id <= :upto"


def _amount_sql(request: str, *kinds: str) -> str:
    """Return SQL for the sum of a request's entries whose ids end with these kinds. A missing one counts
    0."""
    parts = [
        f"coalesce((SELECT amount FROM entries AS one WHERE one.id = {request} || ':{kind}'), 0)"
        for kind in kinds
    ]
    return f"({' + '.join(parts)})"


_SPENT = _amount_sql("usage.id", "allowance", "granted")
_REFUNDED = _amount_sql("usage.id", "allowance:refund", "granted:refund")
_LEFT = _amount_sql("entries.request", "allowance", "granted", "allowance:refund", "granted:refund")

_REQUEST_FAULTS = ", ".join(f"'{code}'" for code in sorted(REQUEST_FAULT_CODES))
"""A request that ends by its own fault pays for the speech before it."""

USAGE_CHECKS: Mapping[str, str] = {
    "a request costs what its entries say": f"""
            SELECT id AS subject, 'usage ' || credits || ', entries ' || -{_SPENT} AS found
            FROM usage WHERE {_OF_USAGE} AND credits <> -{_SPENT}
            """,
    "a charge follows from its price": f"""
            SELECT id AS subject, outcome || ', ' || credits || ' for ' || samples || ' samples' AS found
            FROM usage
            WHERE {_OF_USAGE} AND (outcome = 'left' AND kind = 'training' AND credits > price_micro
            OR outcome = 'finished' AND credits <> CASE
                WHEN kind IN ('clone', 'training') THEN price_micro
                WHEN samples = 0 THEN 0
                WHEN price_per = 'minute'
                    THEN (samples * price_micro + 60 * sample_rate_hz - 1) / (60 * sample_rate_hz)
                WHEN price_per = 'character' THEN price_micro * characters
                ELSE price_micro END)
            """,
    "what failed was not charged, or was given back": f"""
            SELECT id AS subject, credits || ' charged' AS found FROM usage
            WHERE {_OF_USAGE} AND outcome = 'failed' AND credits <> 0
                AND coalesce(error, '') NOT IN ({_REQUEST_FAULTS})
            """,
    "a request shows what was given back of it": f"""
            SELECT id AS subject, 'usage ' || refunded || ', entries ' || {_REFUNDED} AS found
            FROM usage WHERE {_OF_USAGE} AND refunded <> {_REFUNDED}
            """,
}
"""Checks of the table `usage`, by name. Operators delete old rows of usage. Entries are never deleted."""

ENTRY_CHECKS: Mapping[str, str] = {
    "no request spends from one pool twice, or for another account": f"""
            SELECT coalesce(entries.request, entries.id) AS subject, 'entry ' || entries.id AS found
            FROM entries LEFT JOIN usage ON usage.id = entries.request
            WHERE {_OF_ENTRIES} AND entries.kind = 'spend' AND (
                entries.request IS NULL OR usage.account <> entries.account
                OR entries.id <> entries.request || CASE WHEN pool = 0 THEN ':granted' ELSE ':allowance' END
                OR EXISTS (
                    SELECT 1 FROM entries AS one
                    WHERE one.id = entries.request || ':allowance' AND one.account <> entries.account
                )
            )
            """,
    "nothing is refunded beyond what was charged": f"""
            SELECT coalesce(entries.request, entries.id) AS subject, 'left to pay: ' || -{_LEFT} AS found
            FROM entries
            WHERE {_OF_ENTRIES} AND kind = 'refund' AND (
                request IS NULL OR {_LEFT} > 0
                OR id NOT IN (request || ':allowance:refund', request || ':granted:refund')
            )
            """,
}
