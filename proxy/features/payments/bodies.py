"""Orders and offers as JSON. Amounts of money are texts with two decimals; credits are numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from policies.limits import COUNT_LIMITS, limit_values, with_limits
from policies.plans import Minutes, Plan
from proxy.config import credits
from proxy.features.payments.offers import Sales
from proxy.features.payments.provider import FetchedPayment
from proxy.features.payments.records import NEVER, MonthSpan, OrderRecord, PaymentRecord
from proxy.features.payments.rules import OrderState
from proxy.features.payments.section import ProviderName, SoldOffer
from proxy.http.body import Name, NeededReason
from proxy.http.lists import Listing, iso_time, iso_time_or_none
from proxy.http.replies import struct_from


@with_limits(COUNT_LIMITS, lambda row: row.shown_type | None)
class OfferLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of a plan. Null is no limit, or one that each account has of its own."""


class ShownOffer(msgspec.Struct, frozen=True, kw_only=True):
    """What is sold: a month of the plan `name` with its `limits`, or a pack of `credits`.

    The credits of a plan are those of a month; null is no limit. `minutes` of speech are what they buy, null
    if that cannot be said. `features` are texts for people.
    """

    object: Literal["plan", "pack"]
    name: str
    amount: str
    currency: str
    providers: tuple[ProviderName, ...]
    features: tuple[str, ...]
    credits: float | None
    minutes: Minutes | None
    limits: OfferLimits | None


class StartPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The plan of new accounts, with the `credits` and the `minutes` of each cycle. Null credits are no
    limit, or each account has its own."""

    name: str
    credits: float | None
    minutes: Minutes | None
    limits: OfferLimits


class OfferList(msgspec.Struct, frozen=True, kw_only=True):
    """`start` is the plan with which an account begins."""

    object: Literal["list"] = "list"
    data: list[ShownOffer]
    start: StartPlan | None


class NewOrderBody(msgspec.Struct, frozen=True, kw_only=True):
    """What is bought, one of `plan` and `pack`, and where it is paid."""

    plan: Name | None = None
    pack: Name | None = None
    provider: Name


class ShownPayment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment. Of its amount, `refunded` was given back and `disputed` is held by a dispute. `credited` are
    the credits that it is worth now."""

    id: str
    amount: str
    currency: str
    refunded: str
    disputed: str
    credited: float
    created: str


class EndedMonth(msgspec.Struct, frozen=True, kw_only=True):
    """The month of another `plan` that ends once an order is paid. Its unspent `credits`, which buy so many
    `minutes` now, stay."""

    plan: str
    credits: float
    minutes: Minutes | None


class BoughtTime(msgspec.Struct, frozen=True, kw_only=True):
    """The month of a plan that was bought."""

    starts: str
    ends: str


class ShownOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order. While it is open it can be paid at `url`, until it expires. `credits` are those of a pack.
    If it is `cancelled`, it expires at that time. A paid one may have a `month`.

    `ends` and `silenced` are what else its payment changes, if the request asks for that: the month that
    ends, and the voices that cannot speak any more, since their models forbid paid use. Lists have no
    `payments`.
    """

    id: str
    object: Literal["order"] = "order"
    kind: Literal["plan", "pack"]
    offer: str
    title: str
    provider: str
    amount: str
    currency: str
    credits: float | None
    state: OrderState | Literal["expired"]
    url: str | None
    created: str
    expires: str
    cancelled: str | None
    paid: str | None
    month: BoughtTime | None = None
    payments: list[ShownPayment] = []
    ends: EndedMonth | None = None
    silenced: list[str] = []


class Changes(msgspec.Struct, frozen=True):
    """What else the payment of an order changes. See `ShownOrder`."""

    ends: EndedMonth | None = None
    silenced: list[str] = []


class OrderList(Listing, frozen=True, kw_only=True):
    data: list[ShownOrder]


class AdminOrder(ShownOrder, frozen=True, kw_only=True):
    """An order of an account. `attention` says why a person must look, `resolved` has older reasons.
    `next_look` is when its provider is asked next, `error` why that failed last."""

    account: str
    attention: str
    resolved: list[str]
    error: str
    next_look: str | None


class AdminOrderList(Listing, frozen=True, kw_only=True):
    data: list[AdminOrder]


class Resolution(msgspec.Struct, frozen=True, kw_only=True):
    """What was done about an order that needed attention."""

    note: NeededReason


class UnknownPayment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment at a provider that no order here has."""

    provider: str
    id: str
    reference: str
    amount: str
    currency: str
    is_paid: bool
    refunded: str


class Differences(msgspec.Struct, frozen=True, kw_only=True):
    """Payments that no order here has. `failed` are the providers that could not be asked, with reasons."""

    object: Literal["list"] = "list"
    data: list[UnknownPayment]
    failed: dict[str, str]


def format_money(minor: int) -> str:
    """Write minor units as people do: 2990 is "29.90"."""
    return f"{minor // 100}.{minor % 100:02d}"


def shown_offer(offer: SoldOffer, sales: Sales) -> ShownOffer:
    plan = sales.plans[offer.name] if offer.kind == "plan" else None
    micro = offer.credits if plan is None else sales.allowance_of(offer)
    return ShownOffer(
        object=offer.kind,
        name=offer.name,
        amount=format_money(offer.amount),
        currency=offer.currency,
        providers=tuple(each for each in offer.providers if each in sales.providers),
        features=offer.features,
        credits=None if micro is None else credits.to_credits(micro),
        minutes=sales.minutes_of(offer),
        limits=None if plan is None else _limits(plan),
    )


def shown_start(sales: Sales) -> StartPlan | None:
    plan = sales.plans.get(sales.first_plan)
    if plan is None:
        return None
    allowance = sales.plan_allowance(plan.name)
    return StartPlan(
        name=plan.name,
        credits=None if allowance is None else credits.to_credits(allowance),
        minutes=sales.minutes_in(allowance, plan.name),
        limits=_limits(plan),
    )


def _limits(plan: Plan) -> OfferLimits:
    values = limit_values(plan, COUNT_LIMITS)
    return OfferLimits(**{name: each if isinstance(each, int) else None for name, each in values.items()})


def shown_payment(row: PaymentRecord) -> ShownPayment:
    return ShownPayment(
        id=row.id,
        amount=format_money(row.amount),
        currency=row.currency,
        refunded=format_money(row.refunded),
        disputed=format_money(row.disputed),
        credited=credits.to_credits(row.credited),
        created=iso_time(row.created),
    )


NO_CHANGES = Changes()


def shown_order(
    row: OrderRecord,
    now: int,
    *,
    month: MonthSpan | None = None,
    payments: Sequence[PaymentRecord] = (),
    changes: Changes = NO_CHANGES,
) -> ShownOrder:
    bought = None if month is None else BoughtTime(starts=iso_time(month.starts), ends=iso_time(month.ends))
    facts = {"month": bought, "ends": changes.ends, "silenced": changes.silenced}
    return struct_from(ShownOrder, row, **_common_fields(row, now, payments), **facts)


def admin_order(row: OrderRecord, now: int, payments: Sequence[PaymentRecord] = ()) -> AdminOrder:
    return struct_from(
        AdminOrder,
        row,
        **_common_fields(row, now, payments),
        resolved=row.resolved.splitlines(),
        next_look=iso_time_or_none(row.due if row.due < NEVER else None),
    )


def _common_fields(row: OrderRecord, now: int, payments: Sequence[PaymentRecord]) -> dict[str, object]:
    is_open = row.state == "open" and now < row.expires
    return {
        "object": "order",
        "state": row.state_at(now),
        "amount": format_money(row.amount),
        "credits": credits.to_credits(row.credits) if row.kind == "pack" else None,
        "url": row.url if is_open and row.url else None,
        "created": iso_time(row.created),
        "expires": iso_time(row.expires),
        "cancelled": iso_time_or_none(row.cancelled),
        "paid": iso_time_or_none(row.paid),
        "payments": [shown_payment(each) for each in payments],
    }


def unknown_payment(provider: str, payment: FetchedPayment) -> UnknownPayment:
    return struct_from(
        UnknownPayment,
        payment,
        provider=provider,
        amount=format_money(payment.amount),
        refunded=format_money(payment.refunded),
    )
