"""The orders of all accounts: created once for each idempotency key, and paid at a checkout of a provider."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from policies.alerts import Trouble
from policies.plans import AgreedTerms
from policies.price import in_credits
from policies.tasks import SECOND_US
from proxy.catalogue.people import Income
from proxy.errors import Conflict, IdempotencyKeyReused, NotAllowed, NotFound
from proxy.features.payments import bodies, paid_months, plan_changes, records
from proxy.features.payments.offers import Sales
from proxy.features.payments.paid_months import BoughtMonth
from proxy.features.payments.provider import CheckoutRequest, ProviderFailed
from proxy.features.payments.records import NEVER, ORDERS, MonthSpan, OrderRecord, PaymentRecord
from proxy.features.payments.section import SoldOffer
from proxy.ledger import Ledger
from proxy.storage import audit
from proxy.storage.accounts import Account
from proxy.storage.audit import Act
from proxy.storage.listed_tables import lock_account
from proxy.storage.rows import in_list, new_id
from proxy.storage.store import Params, Statement

MOST_OPEN_ORDERS = 5
OPEN_US = 23 * 3600 * SECOND_US
"""How long an order can be paid. Stripe allows 24 hours by its own clock."""
FIRST_LOOK_US = 60 * SECOND_US
"""A provider is asked about an order for the first time so long after it was made."""
LOOK_US = 10 * SECOND_US
"""A look by its owner wakes an order at most once in this time."""

_INSERT = f"""
INSERT INTO orders ({ORDERS.columns}) SELECT {", ".join(ORDERS.placeholders.values())}
WHERE NOT EXISTS (SELECT 1 FROM accounts WHERE id = :account AND closed IS NOT NULL)
AND (SELECT count(*) FROM orders
    WHERE account = :account AND state = 'open' AND expires > CAST(:created AS BIGINT)) < {MOST_OPEN_ORDERS}
ON CONFLICT DO NOTHING
"""
# `audit.insert_statements` gives :subject and :at, which are values of the act.
_IS_NEW = "EXISTS (SELECT 1 FROM orders WHERE id = :subject AND created = :at)"
_SET_CHECKOUT = """
UPDATE orders SET checkout = :checkout, url = :url,
    wakes = CASE WHEN cancelled IS NULL THEN wakes ELSE wakes + 1 END,
    due = CASE WHEN cancelled IS NULL THEN due ELSE cancelled END
WHERE id = :id AND checkout = ''
"""
# A checkout that was made meanwhile is not known yet: `_SET_CHECKOUT` wakes the order again.
_CANCEL = """
UPDATE orders SET cancelled = CAST(:now AS BIGINT), expires = CAST(:now AS BIGINT), wakes = wakes + 1,
    due = CAST(:now AS BIGINT)
WHERE id = :id AND state = 'open' AND expires > CAST(:now AS BIGINT)
"""
_IS_CANCELLED = "EXISTS (SELECT 1 FROM orders WHERE id = :subject AND cancelled = :at)"
_WAKE = """
UPDATE orders SET wakes = wakes + 1, due = CAST(:now AS BIGINT) WHERE id = :id AND provider = :provider
RETURNING id
"""
_LOOK = f"""
UPDATE orders SET looked = CAST(:now AS BIGINT), wakes = wakes + 1, due = CAST(:now AS BIGINT)
WHERE id = :id AND looked <= CAST(:now AS BIGINT) - {LOOK_US}
"""
_NEEDS_ATTENTION = "EXISTS (SELECT 1 FROM orders WHERE id = :subject AND attention <> '')"
_RESOLVE = "UPDATE orders SET resolved = resolved || attention || :line_end, attention = '' WHERE id = :id"
_TROUBLES = """
SELECT id, state, attention FROM orders WHERE attention <> '' OR state = 'disputed'
ORDER BY created DESC LIMIT 100
"""
_SUMS_PAID = """
SELECT account, currency, sum(amount - refunded - disputed) AS total FROM payments
WHERE account IN ({accounts}) GROUP BY account, currency ORDER BY currency
"""
# A month that another one has replaced ended then.
_MONTHS = """
SELECT payments.order_id, starts, CASE WHEN replaced < ends THEN replaced ELSE ends END AS ends
FROM paid_months JOIN payments ON payments.id = paid_months.id
WHERE paid_months.account = :account AND is_paid = 1
"""
_DUE_BY_PROVIDER = f"SELECT provider, count(*) AS number FROM orders WHERE due < {NEVER} GROUP BY provider"


class NewOrder(NamedTuple):
    """What an account orders. A second call with the same idempotency `key` returns the order of the
    first. Without a key, each call makes an order."""

    offer: SoldOffer
    provider: str
    key: str | None = None


class EndingPlan(NamedTuple):
    """A plan that a new month of another plan would end, and its unspent micro-credits."""

    plan: str
    credits: int


class OrderStore(Income):
    """The orders of all accounts, and what they paid. `sales` is what is sold now. `look_now` lets the tasks
    of orders look for due ones at once. The feature sets both."""

    sales: Sales

    def __init__(self, ledger: Ledger) -> None:
        # A command has no tasks, so it begins none.
        self.look_now: Callable[[], None] = lambda: None
        self._ledger = ledger
        self._store = ledger.store

    def sold_offers(self) -> list[bodies.ShownOffer]:
        return [bodies.shown_offer(each, self.sales) for each in self.sales.section.offers]

    async def commit_order(self, account: Account, new: NewOrder, act: Act | None = None) -> OrderRecord:
        """Commit an order, or return the one of this idempotency key. The order is the subject of the audit's
        act. Raises IdempotencyKeyReused, Conflict for a second month ahead, and NotAllowed."""
        now = await self._store.now() if act is None else act.at
        order = self._new_order(account, new, now)
        if (stored := await ORDERS.get(self._store, account.id, order.id)) is not None:
            return _check_same(stored, order)
        await self._check_plan(account, new.offer)
        row = msgspec.structs.asdict(order)
        order_act = None if act is None else msgspec.structs.replace(act, subject=order.id)
        await self._store.write(
            lock_account(account.id), Statement(_INSERT, row), *audit.insert_statements(order_act, _IS_NEW)
        )
        stored = await ORDERS.get(self._store, account.id, order.id)
        if stored is None:
            raise NotAllowed(
                f"An account has {MOST_OPEN_ORDERS} open orders at most. Pay or cancel one first.",
                code="too_many_orders",
            )
        return _check_same(stored, order)

    async def with_checkout(self, order: OrderRecord) -> OrderRecord:
        """Return an open order with its checkout. If it has none, ask the provider for one, with the values
        of the row. Raises ProviderFailed."""
        if order.checkout or order.state != "open" or await self._store.now() >= order.expires:
            return order
        provider = self.sales.providers.get(order.provider)
        if provider is None:
            raise ProviderFailed(f"[payments.{order.provider}] is not set")
        request = CheckoutRequest(
            order=order.id,
            title=order.title,
            amount=order.amount,
            currency=order.currency,
            expires=order.expires,
            return_url=f"{self.sales.public_url.rstrip('/')}/orders/{order.id}",
        )
        checkout = await provider.create_checkout(request)
        await self._store.write(
            Statement(_SET_CHECKOUT, {"checkout": checkout.id, "url": checkout.url, "id": order.id})
        )
        stored = await self.find_order(None, order.id)
        if stored.cancelled is not None:
            self.look_now()
        return stored

    async def find_order(self, account: str | None, id_: str) -> OrderRecord:
        """Return an order of this account, or of any account if that is None. Raises NotFound."""
        order = await ORDERS.get(self._store, account, id_) if id_.isprintable() else None
        if order is None:
            raise NotFound(f"The order '{id_[:80]}' does not exist.", code="order_not_found")
        return order

    async def payments_of(self, order: str) -> list[PaymentRecord]:
        return await records.payments_of(self._store, order)

    async def sums_paid(self, accounts: Sequence[str]) -> Mapping[str, Mapping[str, int]]:
        if not accounts:
            return {}
        names, params = in_list(accounts)
        found: dict[str, dict[str, int]] = {}
        for row in await self._store.read(_SUMS_PAID.format(accounts=names), params):
            found.setdefault(row["account"], {})[row["currency"]] = int(row["total"])
        return found

    async def troubles(self) -> list[Trouble]:
        """Return the newest orders that an operator must see to: alerts are about them."""
        troubles = []
        for row in await self._store.read(_TROUBLES):
            if row["attention"]:
                troubles.append(Trouble("order_attention", row["id"], row["attention"]))
            if row["state"] == "disputed":
                troubles.append(Trouble("dispute", row["id"]))
        for row in await self._store.read(_DUE_BY_PROVIDER):
            if row["provider"] not in self.sales.providers:
                detail = f"{row['number']} orders wait for [payments.{row['provider']}], which is not set"
                troubles.append(Trouble("order_attention", row["provider"], detail))
        return troubles

    async def ending_plan(self, account: str, plan: str) -> EndingPlan | None:
        """Return the plan that a paid month of another plan would end now, and its unspent micro-credits,
        less those that running requests hold. None: no plan would end."""
        plan_state = (await plan_changes.read_plan(self._ledger, account, self.sales)).plan_state
        if not plan_state.chain or plan_state.chain[-1].plan == plan:
            return None
        bought = BoughtMonth(id="", plan=plan, allowance=None, ordered=plan_state.now)
        change = paid_months.buy_month(plan_state, bought)
        carried_later = (
            paid_months.unspent_allowance(month, plan_state.balances.get(month.pool, 0))
            for month in change.months
            if month.state == "replaced"
        )
        return EndingPlan(plan_state.plan, sum(credits for _, credits in change.credits) + sum(carried_later))

    async def month_spans(self, account: str) -> Mapping[str, MonthSpan]:
        """Return the start and the end of each paid month of an account, by order id."""
        rows = await self._store.read(_MONTHS, {"account": account})
        spans = {row["order_id"]: MonthSpan(row["starts"], row["ends"]) for row in rows}
        return {order: span for order, span in spans.items() if span.ends > span.starts}

    async def note_look(self, order: OrderRecord) -> None:
        """Note that the owner looks at an order. It wakes the order, every ten seconds at most."""
        await self._store.write(Statement(_LOOK, {"id": order.id, "now": await self._store.now()}))
        self.look_now()

    async def wake_order(self, provider: str, id_: str) -> bool:
        """Have an order's provider asked soon. False: this provider has no such order."""
        woken: Params = {"id": id_, "provider": provider, "now": await self._store.now()}
        (rows,) = await self._store.write(Statement(_WAKE, woken))
        self.look_now()
        return bool(rows)

    async def cancel_order(self, order: OrderRecord, act: Act) -> OrderRecord:
        """Let an open order expire now. Its task ends the checkout. Raises Conflict once it is paid."""
        cancelled = Statement(_CANCEL, {"id": order.id, "now": act.at})
        await self._store.write(cancelled, *audit.insert_statements(act, _IS_CANCELLED))
        self.look_now()
        newest = await self.find_order(None, order.id)
        if newest.state != "open":
            raise Conflict("The order is paid, so it cannot be cancelled.", code="order_paid")
        return newest

    async def resolve_order(self, order: OrderRecord, act: Act) -> None:
        """Note that a person has dealt with what needed attention."""
        resolved = Statement(_RESOLVE, {"id": order.id, "line_end": "\n"})
        await self._store.write(*audit.insert_statements(act, _NEEDS_ATTENTION), resolved)

    def _new_order(self, account: Account, new: NewOrder, now: int) -> OrderRecord:
        offer, provider = new.offer, self.sales.providers[new.provider]
        key_hash = new.key and hashlib.sha256(f"{account.id} {new.key}".encode()).hexdigest()[:24]
        pack_title = f"{in_credits(offer.credits)} credits"
        return OrderRecord(
            id=f"ord_{key_hash}" if key_hash else new_id("ord"),
            account=account.id,
            provider=new.provider,
            seller=provider.seller,
            is_live=int(provider.is_live),
            kind=offer.kind,
            offer=offer.name,
            title=f"Plan {offer.name}, one month" if offer.kind == "plan" else pack_title,
            credits=offer.credits,
            allowance=self.sales.allowance_of(offer),
            amount=offer.amount,
            currency=offer.currency,
            created=now,
            expires=now + OPEN_US,
            due=now + FIRST_LOOK_US,
        )

    async def _check_plan(self, account: Account, offer: SoldOffer) -> None:
        if offer.kind != "plan":
            return
        if account.agreed != AgreedTerms():
            raise NotAllowed(
                "Your account has terms of its own, which a plan would not have. It can buy packs.",
                code="terms_agreed",
            )
        reading = await plan_changes.read_plan(self._ledger, account.id, self.sales)
        plan_state, chain = reading.plan_state, reading.plan_state.chain
        if plan_state.paid_until is None and plan_state.plan == offer.name:
            raise Conflict(
                f"Your account has the plan '{offer.name}' without an end. A paid month would end it.",
                param="plan",
            )
        if len(chain) > 1 and chain[-1].plan == offer.name:
            raise Conflict(
                f"The next month of the plan '{offer.name}' is paid already. Order one more once it begins.",
                param="plan",
            )


def _check_same(stored: OrderRecord, wanted: OrderRecord) -> OrderRecord:
    """Return the stored order of this key. Raises IdempotencyKeyReused if another one is wanted now."""
    if (stored.kind, stored.offer, stored.provider) != (wanted.kind, wanted.offer, wanted.provider):
        raise IdempotencyKeyReused(
            "This Idempotency-Key came with another order before. Use a new key for each order.",
            param="Idempotency-Key",
        )
    return stored
