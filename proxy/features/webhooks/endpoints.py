"""/v1/webhook_endpoints: URLs that get events, as in OpenAI's API, and the deliveries to them."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from proxy.api.admin_tools import AdminTools, account_endpoint, check_open
from proxy.config.fields import missing_parameter
from proxy.errors import (
    Conflict,
    InvalidRequest,
    NoPlace,
    NotAllowed,
    NotFound,
    RateLimited,
)
from proxy.features.webhooks import bodies, deliveries, records
from proxy.features.webhooks.webhook_store import ReadableWebhook, WebhookChange, WebhookStore
from proxy.http.body import read_body, read_optional_body
from proxy.http.lists import PAGE, read_page
from proxy.http.replies import reply
from proxy.http.resource import Resource, endpoint
from proxy.storage.rows import new_id

_ROOT = "/webhook_endpoints"
_ONE = f"{_ROOT}/{{id}}"


class Webhooks(Resource):
    """The webhooks of the caller's account. The operator sees to those of any account."""

    def __init__(self, admin_tools: AdminTools, webhooks: WebhookStore) -> None:
        self._admin_tools = admin_tools
        self._webhooks = webhooks

    @endpoint("GET", "/v1/webhook_event_types", bodies.EventTypes)
    async def list_webhook_event_types(self, request: Request) -> Response:
        """The events that a webhook may want"""
        del request
        return reply(bodies.EventTypes())

    @account_endpoint(
        "POST",
        _ROOT,
        bodies.WebhookWithSecret,
        summary="Make a webhook of the account that is named",
        body=bodies.NewWebhook,
        failures=(NotAllowed, Conflict),
    )
    async def create_webhook_endpoint(self, request: Request) -> Response:
        """Make a webhook, and show its secret, once"""
        new = await read_body(request, bodies.NewWebhook)
        owner = await self._admin_tools.owner_of_request(request)
        if owner is None:
            raise missing_parameter("account")
        check_open(await self._admin_tools.find_account(owner))
        act = await self._admin_tools.act_if_admin(request, "webhook.created", new_id("hook"), owner)
        return reply(
            bodies.with_secret(await self._webhooks.add(owner, new.name, new.url, new.event_types, act))
        )

    @account_endpoint(
        "GET",
        _ROOT,
        bodies.WebhookList,
        summary="The webhooks of all accounts, the newest first",
        queries=PAGE,
        failures=(InvalidRequest,),
        pace="list",
    )
    async def list_webhook_endpoints(self, request: Request) -> Response:
        """The account's webhooks, the newest first"""
        account, store = await self._admin_tools.owner_of_request(request), self._webhooks.store
        listed = await read_page(
            request, partial(records.place_of, store, account), partial(records.page, store, account)
        )
        return await listed.list_response(
            bodies.WebhookList, lambda row: bodies.webhook_entry(self._webhooks.open_listed(row))
        )

    @account_endpoint(
        "GET", _ONE, bodies.WebhookEntry, summary="One webhook of any account", failures=(NotFound,)
    )
    async def get_webhook_endpoint(self, request: Request) -> Response:
        """One webhook"""
        return reply(bodies.webhook_entry(await self._find_webhook(request)))

    @account_endpoint(
        "POST",
        _ONE,
        bodies.WebhookEntry,
        summary="Change a webhook of any account",
        body=bodies.WebhookUpdate,
        failures=(NotFound, Conflict),
    )
    async def update_webhook_endpoint(self, request: Request) -> Response:
        """Change a webhook: what is left out stays"""
        new = await read_body(request, bodies.WebhookUpdate)
        change = WebhookChange(new.name, new.url, new.event_types, new.is_on)
        return reply(bodies.webhook_entry(await self._change(request, "webhook.changed", change)))

    @account_endpoint(
        "DELETE", _ONE, bodies.DeletedWebhook, summary="Delete a webhook of any account", failures=(NotFound,)
    )
    async def delete_webhook_endpoint(self, request: Request) -> Response:
        """Delete a webhook with all its deliveries"""
        owner, id_ = await self._admin_tools.owner_of_request(request), request.path_params["id"]
        # Not `_find_webhook`: a webhook whose secret cannot be opened can be deleted, too.
        record = await self._webhooks.find_row(owner, id_)
        act = await self._admin_tools.act_if_admin(request, "webhook.deleted", id_, record.account)
        await self._webhooks.delete(id_, act)
        return reply(bodies.DeletedWebhook(id=id_))

    @account_endpoint(
        "POST",
        f"{_ONE}/rotate_secret",
        bodies.WebhookWithSecret,
        summary="Give a webhook of any account another secret",
        body=bodies.SecretRotation,
        needs_body=False,
        failures=(NotFound, Conflict),
    )
    async def rotate_webhook_secret(self, request: Request) -> Response:
        """Give a webhook another secret, and show it, once"""
        keeps = (await read_optional_body(request, bodies.SecretRotation)).keep_old_secret_active_for_24_hours
        change = WebhookChange(rotates_secret=True, keeps_old_secret=keeps)
        return reply(bodies.with_secret(await self._change(request, "webhook.rotated", change)))

    @account_endpoint(
        "POST",
        f"{_ONE}/test",
        bodies.WebhookTestResult,
        summary="Send a sample to a webhook of any account",
        body=bodies.WebhookTest,
        needs_body=False,
        failures=(NotFound, NotAllowed, RateLimited, NoPlace),
    )
    async def test_webhook_endpoint(self, request: Request) -> Response:
        """Send a sample of an event once, and wait for the answer"""
        event = (await read_optional_body(request, bodies.WebhookTest)).event_type
        webhook = (await self._find_webhook(request)).record
        act = await self._admin_tools.act_if_admin(request, "webhook.tested", webhook.id, webhook.account)
        ended = await self._webhooks.test(webhook, event, act)
        if ended.status is None:
            raise InvalidRequest(f"The webhook was not told. {ended.error}", code="webhook_not_reached")
        return reply(
            bodies.WebhookTestResult(
                webhook_endpoint_id=webhook.id,
                event_type=event,
                status_code=ended.status,
                success=ended.state == "delivered",
            )
        )

    @account_endpoint(
        "GET",
        f"{_ONE}/deliveries",
        bodies.DeliveryList,
        summary="What was sent to a webhook of any account, the newest first",
        queries=PAGE,
        failures=(NotFound, InvalidRequest),
        pace="list",
    )
    async def list_webhook_deliveries(self, request: Request) -> Response:
        """What was and will be sent to a webhook, the newest first"""
        webhook, store = (await self._find_webhook(request)).record, self._webhooks.store
        listed = await read_page(
            request,
            partial(deliveries.place_of, store, webhook.account),
            partial(deliveries.page, store, webhook.id),
        )
        return await listed.list_response(bodies.DeliveryList, bodies.delivery_entry)

    @account_endpoint(
        "POST",
        "/webhook_deliveries/{id}/resend",
        bodies.DeliveryEntry,
        summary="Send an event of any account once more",
        failures=(NotFound, NotAllowed, Conflict),
    )
    async def resend_webhook_delivery(self, request: Request) -> Response:
        """Send an event once more that arrived or failed"""
        account = await self._admin_tools.owner_of_request(request)
        delivery = await self._webhooks.find_delivery(account, request.path_params["id"])
        act = await self._admin_tools.act_if_admin(request, "webhook.resent", delivery.id, delivery.account)
        return reply(bodies.delivery_entry(await self._webhooks.resend(delivery, act)))

    async def _find_webhook(self, request: Request) -> ReadableWebhook:
        return await self._webhooks.find_webhook(
            await self._admin_tools.owner_of_request(request), request.path_params["id"]
        )

    async def _change(self, request: Request, action: str, change: WebhookChange) -> ReadableWebhook:
        webhook = (await self._find_webhook(request)).record
        act = await self._admin_tools.act_if_admin(request, action, webhook.id, webhook.account)
        return await self._webhooks.change(webhook.account, webhook.id, change, act)
