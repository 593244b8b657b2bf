"""The bodies of webhooks, as in OpenAI's API: of requests that make and change them, and of answers."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from policies.tasks import SECOND_US
from proxy.features.webhooks import signing
from proxy.features.webhooks.deliveries import WebhookDelivery
from proxy.features.webhooks.records import EVENTS, Event
from proxy.features.webhooks.rules import MOST_URL
from proxy.features.webhooks.webhook_store import ReadableWebhook
from proxy.http.body import Name
from proxy.http.lists import Listing
from proxy.http.replies import struct_from
from speech_engine.redacted import Redacted

_Url = Annotated[
    str, Meta(min_length=1, max_length=MOST_URL, description=f"an address of up to {MOST_URL} characters")
]
_ONE = f"one of {', '.join(EVENTS)}"
_Events = Annotated[
    tuple[Event, ...], Meta(min_length=1, max_length=len(EVENTS), description=f"a list, each {_ONE}")
]
_Switch = Annotated[bool, Meta(description="true or false")]


class NewWebhook(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """A webhook to be made."""

    name: Name
    url: _Url
    event_types: _Events


class WebhookUpdate(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """The changes of a webhook."""

    name: Name | None = None
    url: _Url | None = None
    event_types: _Events | None = None
    is_on: _Switch | None = None


class SecretRotation(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the old secret signs beside the new one for a day."""

    keep_old_secret_active_for_24_hours: _Switch = False


class WebhookTest(msgspec.Struct, frozen=True, kw_only=True):
    """The event of which a sample is sent."""

    event_type: Annotated[Event, Meta(description=_ONE)] = "webhook.test"


class WebhookEntry(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """A webhook. The hint tells its secret from others. If it is off, `off_reason` says why."""

    object: Literal["webhook_endpoint"] = "webhook_endpoint"
    id: str
    account: str
    name: str
    url: str
    event_types: list[str]
    created_at: int
    updated_at: int
    signing_secret_hint: str
    is_on: bool
    off_reason: str | None


class WebhookWithSecret(WebhookEntry, frozen=True, kw_only=True):
    """A webhook with its new secret, which is never shown again."""

    signing_secret: str


class WebhookList(Listing, frozen=True, kw_only=True):
    """Webhooks, the newest first."""

    data: list[WebhookEntry]


class EventTypes(msgspec.Struct, frozen=True, kw_only=True):
    """All events that a webhook may want."""

    object: Literal["list"] = "list"
    data: tuple[str, ...] = EVENTS


class DeletedWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """The webhook was deleted, with its deliveries."""

    object: Literal["webhook_endpoint.deleted"] = "webhook_endpoint.deleted"
    id: str
    deleted: bool = True


class WebhookTestResult(msgspec.Struct, frozen=True, kw_only=True):
    """The receiver has answered with this status. It is a `success` if the status accepts the event."""

    object: Literal["webhook_endpoint.test"] = "webhook_endpoint.test"
    webhook_endpoint_id: str
    event_type: str
    status_code: int
    success: bool


class DeliveryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An event for a webhook. `event_id` is the `webhook-id` of each try; `status_code` is that of the last
    answer. It is tried again at `next_try_at`. An ended one can be sent again."""

    object: Literal["webhook_delivery"] = "webhook_delivery"
    id: str
    webhook_endpoint_id: str
    event_id: str
    event_type: str
    state: Literal["waiting", "delivered", "failed"]
    tries: int
    status_code: int | None
    error: str | None
    created_at: int
    answered_at: int | None
    next_try_at: int | None


class DeliveryList(Listing, frozen=True, kw_only=True):
    """Deliveries, the newest first."""

    data: list[DeliveryEntry]


def webhook_entry(opened: ReadableWebhook) -> WebhookEntry:
    record, seal = opened.record, opened.seal
    return struct_from(
        WebhookEntry,
        record,
        name=seal.name,
        url=seal.url,
        event_types=list(record.events),
        created_at=record.created // SECOND_US,
        updated_at=record.changed // SECOND_US,
        signing_secret_hint=signing.hint(seal.secret),
        is_on=not record.off_reason,
        off_reason=record.off_reason or None,
    )


def with_secret(opened: ReadableWebhook) -> WebhookWithSecret:
    return WebhookWithSecret(
        **msgspec.structs.asdict(webhook_entry(opened)), signing_secret=opened.seal.secret
    )


def delivery_entry(record: WebhookDelivery) -> DeliveryEntry:
    is_waiting = record.state == "waiting"
    return struct_from(
        DeliveryEntry,
        record,
        webhook_endpoint_id=record.webhook,
        event_id=record.event,
        event_type=record.type,
        status_code=record.status,
        error=record.error or None,
        created_at=record.created // SECOND_US,
        answered_at=None if record.answered is None else record.answered // SECOND_US,
        next_try_at=max(record.due, record.created) // SECOND_US if is_waiting else None,
    )
