"""Orders: made once for a key of idempotency, paid at a provider's checkout, and looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from policies.tasks import SECOND
from proxy.features.payments import records
from proxy.features.payments.offers import Sales
from proxy.features.payments.provider import Provider
from proxy.features.payments.records import ORDERS, OrderRecord, PaymentRecord
from proxy.features.payments.section import Offer
from proxy.storage.accounts import Account
from proxy.storage.audit import Act
from proxy.storage.rows import Place
from proxy.storage.store import Store

MOST_OPEN = 5
OPEN_US = 23 * 3600 * SECOND
"""An order can be paid for so long. Stripe allows 24 hours by its own clock."""
FIRST_LOOK_US = 60 * SECOND
LOOK_US = 10 * SECOND
"""An owner's look wakes an order once in this time."""

_ADD = f"""
INSERT INTO orders ({ORDERS.columns}) SELECT {", ".join(ORDERS.placeholders.values())}
WHERE NOT EXISTS (SELECT 1 FROM accounts WHERE id = :account AND closed IS NOT NULL)
AND (SELECT count(*) FROM orders
    WHERE account = :account AND state = 'open' AND expires > CAST(:created AS BIGINT)) < {MOST_OPEN}
ON CONFLICT DO NOTHING
"""
_IS_NEW = "EXISTS (SELECT 1 FROM orders WHERE id = :subject AND created = :at)"
_GIVE_URL = "UPDATE orders SET checkout = :checkout, url = :url WHERE id = :id AND checkout = ''"
_WAKE = "UPDATE orders SET wakes = wakes + 1, due = CAST(:now AS BIGINT) WHERE id = :id"
_LOOK = f"""
UPDATE orders SET looked = :now, wakes = wakes + 1, due = CAST(:now AS BIGINT)
WHERE id = :id AND looked <= CAST(:now AS BIGINT) - {LOOK_US}
"""
_RESOLVE = "UPDATE orders SET resolved = resolved || attention || :line_end, attention = '' WHERE id = :id"
_NEEDS_ATTENTION = "SELECT id FROM orders WHERE attention <> '' ORDER BY created DESC LIMIT :limit"


class NewOrder(NamedTuple):
    """What an account asks for. With a `key` of idempotency, a second call finds the first one's order."""

    offer: Offer
    provider: Provider
    allowance: int | None
    key: str | None


class OrderStore:
    """The orders of all accounts. `sales` is what is sold now; `look_soon` begins due orders."""

    def __init__(self, store: Store, look_soon: Callable[[], None]) -> None:
        self.sales: Sales
        self._store = store
        self._look_soon = look_soon

    async def begin(self, account: Account, new: NewOrder, act: Act | None = None) -> OrderRecord:
        """Commit an order, or return the one that was made with this key. The act gets the order as its
        subject. Raises IdempotencyKeyReused, Conflict for a second month ahead, and NotAllowed."""
        raise NotImplementedError

    async def with_checkout(self, order: OrderRecord) -> OrderRecord:
        """Return an open order with its checkout, which is asked for if it has none. The provider gets the
        values of the row. Raises ProviderFailed."""
        raise NotImplementedError

    async def find(self, account: str | None, id_: str) -> OrderRecord:
        """Return an order of this account; without one, of any. Raises NotFound."""
        raise NotImplementedError

    async def page(self, account: str | None, place: Place, limit: int) -> list[OrderRecord]:
        return await ORDERS.page(self._store, account, place, limit)

    async def place_of(self, account: str | None, id_: str) -> Place | None:
        return await ORDERS.place_of(self._store, account, id_)

    async def payments_of(self, order: str) -> list[PaymentRecord]:
        return await records.payments_of(self._store, order)

    async def carries(self, account: Account, plan: str) -> int | None:
        """Return the micro-credits that a change to this plan would carry now, None if it changes nothing."""
        raise NotImplementedError

    async def look(self, order: OrderRecord) -> None:
        """Note a look by the owner, which wakes the order, every ten seconds at most."""
        raise NotImplementedError

    async def wake(self, provider: str, id_: str) -> bool:
        """Wake an order of this provider. False: it has no such order."""
        raise NotImplementedError

    async def resolve(self, order: OrderRecord, act: Act) -> None:
        """Note that a person has looked at what needs attention."""
        raise NotImplementedError
