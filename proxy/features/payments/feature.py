"""The entry of the feature payments in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial

from proxy.config.config_toml import Config
from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext
from proxy.features.payments import config_checks, records, shop_checks
from proxy.features.payments.section import SECTION
from proxy.telemetry.background import repeat

_TIDY_S = 3600.0


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.mail.mails import Mails
    from proxy.features.payments.admin_endpoints import AdminOrders
    from proxy.features.payments.booking import Booking
    from proxy.features.payments.endpoints import Offers, Orders, webhook_endpoints
    from proxy.features.payments.event_tasks import EventTasks
    from proxy.features.payments.month_tasks import MonthTasks
    from proxy.features.payments.offers import LazyClient, Sales, providers_of
    from proxy.features.payments.order_store import OrderStore
    from proxy.features.payments.order_tasks import OrderTasks
    from proxy.features.voice_list.voices import VoiceTools

    store, mails = context.store, context.find(Mails)
    async with aclosing(LazyClient(context.config_at_start.upstream)) as client:
        booking = Booking(context.ledger, mails)
        orders = OrderStore(context.ledger)
        order_tasks = OrderTasks(store, orders, booking)
        event_tasks = EventTasks(store, orders.wake_order, order_tasks.book_named_payment)
        month_tasks = MonthTasks(context.ledger, mails)

        def revise(config: Config) -> Sales:
            sales = Sales.of(config, providers_of(SECTION.of(config), client))
            orders.sales = booking.sales = month_tasks.sales = sales
            event_tasks.providers = sales.providers
            return sales

        def additions_for(revision: RevisionContext) -> Additions:
            sales, tools = revise(revision.config), revision.admin_tools

            def on_booked(account: str) -> None:
                # Another plan is in force here at once, and in other workers within seconds.
                tools.callers.forget(account)
                month_tasks.look_now()
                mails.look_now()

            order_tasks.on_booked = on_booked
            if _missing(revision.config):
                return Additions()
            endpoints = [
                *(Offers(sales).endpoints if sales.section.offers else ()),
                # Orders from before are shown, although nothing is sold any more.
                *Orders(tools, orders, sales, VoiceTools.of(revision)).endpoints,
                *AdminOrders(tools, orders, sales).endpoints,
                *webhook_endpoints(sales.providers.values(), store, event_tasks.note_webhook),
            ]
            return Additions(endpoints)

        orders.look_now = order_tasks.look_now
        revise(context.config_at_start)
        # A command asks no provider for payments: its server does, when it is back.
        task_kinds = () if context.engines is None else (order_tasks, event_tasks, month_tasks)
        name = "deletion of old payment events"
        tidying = partial(repeat, name, event_tasks.delete_old, _TIDY_S, context.metrics, tidies=True)
        yield FeatureInstance(
            context.with_shared(orders), additions_for, task_kinds=task_kinds, tasks_of_one_server=(tidying,)
        )


def _missing(config: Config) -> str:
    return "" if SECTION.of(config).is_used else "set [payments]"


FEATURE = Feature(
    "payments",
    _open,
    tables=records.TABLES,
    paths=("/v1/plans", "/v1/orders", "/orders", "/admin/orders", "/webhooks"),
    missing_setting=_missing,
    checks=(config_checks.check_offers, shop_checks.check_shop),
    doctor=(("payments", config_checks.check_providers),),
)
