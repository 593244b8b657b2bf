"""/admin/orders: the orders of all accounts, and payments at providers that no order has."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from proxy.api.admin_tools import ACCOUNT_QUERY, AdminTools
from proxy.config.fields import missing_parameter
from proxy.errors import Conflict, InvalidRequest, NotFound
from proxy.features.payments import bodies
from proxy.features.payments.offers import Sales
from proxy.features.payments.order_store import OrderStore
from proxy.features.payments.provider import Provider, ProviderFailed
from proxy.features.payments.records import ATTENTION_ORDERS, ORDERS, OTHER_ORDERS, OrderRecord
from proxy.http.body import read_body
from proxy.http.endpoint import Query
from proxy.http.lists import PAGE, SINCE, query_choice, query_time_micros, read_table_page
from proxy.http.replies import reply
from proxy.http.resource import Resource, endpoint

_ONE = "/admin/orders/{id}"
_TABLES = {"": ORDERS, "true": ATTENTION_ORDERS, "false": OTHER_ORDERS}
_ATTENTION = Query(
    "attention", "`true` gives only the orders that need a person, `false` the others.", ("true", "false")
)


class AdminOrders(Resource):
    def __init__(self, admin_tools: AdminTools, orders: OrderStore, sales: Sales) -> None:
        self._admin_tools = admin_tools
        self._orders = orders
        self._sales = sales

    @endpoint(
        "GET",
        "/admin/orders",
        bodies.AdminOrderList,
        queries=(ACCOUNT_QUERY, _ATTENTION, *PAGE),
        failures=(InvalidRequest, NotFound),
    )
    async def list_all_orders(self, request: Request) -> Response:
        """The orders of all accounts, the newest first"""
        account, store = await self._admin_tools.query_account(request), self._admin_tools.store
        now, table = await store.now(), _TABLES[query_choice(request, _ATTENTION)]
        listed = await read_table_page(request, table, store, account)
        return await listed.list_response(bodies.AdminOrderList, lambda row: bodies.admin_order(row, now))

    @endpoint(
        "GET", "/admin/orders/differences", bodies.Differences, queries=(SINCE,), failures=(InvalidRequest,)
    )
    async def compare_payments(self, request: Request) -> Response:
        """Payments at the providers that no order here has, as after a restored backup"""
        since = query_time_micros(request, "since")
        if since is None:
            raise missing_parameter("since")
        data: list[bodies.UnknownPayment] = []
        failed: dict[str, str] = {}
        for name, provider in self._sales.providers.items():
            try:
                async for payment in provider.payments_since(since):
                    if payment.is_paid and not await self._is_known(provider, payment.reference):
                        data.append(bodies.unknown_payment(provider.name, payment))
            except ProviderFailed as error:
                failed[name] = error.reason
        return reply(bodies.Differences(data=data, failed=failed))

    @endpoint("GET", _ONE, bodies.AdminOrder, failures=(NotFound,))
    async def get_any_order(self, request: Request) -> Response:
        """One order of any account, with its payments"""
        return await self._order_reply(await self._find_order(request))

    @endpoint("POST", f"{_ONE}/check", bodies.AdminOrder, failures=(NotFound,))
    async def check_order(self, request: Request) -> Response:
        """Have the provider of an order asked at once. The answer has what is known so far"""
        order = await self._find_order(request)
        await self._orders.wake_order(order.provider, order.id)
        return await self._order_reply(await self._find_order(request))

    @endpoint(
        "POST",
        f"{_ONE}/resolve",
        bodies.AdminOrder,
        body=bodies.Resolution,
        failures=(NotFound, Conflict),
    )
    async def resolve_order(self, request: Request) -> Response:
        """Note that a person has dealt with an order that needed attention"""
        resolution, order = await read_body(request, bodies.Resolution), await self._find_order(request)
        if not order.attention:
            raise Conflict("The order needs no attention.")
        facts = {"note": resolution.note, "attention": order.attention}
        act = await self._admin_tools.audit_row(request, "order.resolved", order.id, order.account, **facts)
        await self._orders.resolve_order(order, act)
        return await self._order_reply(await self._find_order(request))

    async def _find_order(self, request: Request) -> OrderRecord:
        return await self._orders.find_order(None, request.path_params["id"])

    async def _order_reply(self, order: OrderRecord) -> Response:
        payments = await self._orders.payments_of(order.id)
        return reply(bodies.admin_order(order, await self._admin_tools.store.now(), payments))

    async def _is_known(self, provider: Provider, reference: str) -> bool:
        try:
            order = await self._orders.find_order(None, reference)
        except NotFound:
            return False
        return order.provider == provider.name
