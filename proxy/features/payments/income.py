"""The sums that accounts paid, for operators."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.catalogue.people import Income
from proxy.storage.store import Store

_SUMS = """
SELECT currency, CAST(sum(amount - refunded - disputed) AS BIGINT) AS total FROM payments
WHERE account = :account GROUP BY currency ORDER BY currency
"""


class PaymentSums(Income):
    def __init__(self, store: Store) -> None:
        self._store = store

    async def sums_paid(self, account: str) -> Mapping[str, int]:
        rows = await self._store.read(_SUMS, {"account": account})
        return {str(row["currency"]): int(row["total"]) for row in rows}
