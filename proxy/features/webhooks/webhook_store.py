"""Webhooks: how accounts and operators make, change and try them."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import msgspec
import structlog

from policies.tasks import SECOND_US
from proxy.errors import Conflict, InvalidRequest, NoPlace, NotAllowed, NotFound, RateLimited
from proxy.features.webhooks import deliveries, records, rules, signing
from proxy.features.webhooks.deliveries import WebhookDelivery
from proxy.features.webhooks.delivery_tasks import DeliveryTasks, own_limits
from proxy.features.webhooks.records import TURNED_OFF_BY_OWNER, Event, WebhookRecord, WebhookSeal
from proxy.file_store.vault import Vault, VaultFailed
from proxy.queue.tasks import LEASE_S
from proxy.storage.audit import Act
from proxy.storage.rows import new_id
from proxy.storage.store import Store

_log = structlog.get_logger()

_TRIES = 5
_RETRY_S = 2.0
_OLD_SECRET_US = 24 * 3600 * SECOND_US
"""For this time, the old secret of a webhook signs beside the new one."""


class ReadableWebhook(NamedTuple):
    record: WebhookRecord
    seal: WebhookSeal

    @property
    def id(self) -> str:
        return self.record.id


class WebhookChange(NamedTuple):
    """The changes of a webhook. None means unchanged. With `rotates_secret` it gets another secret; the old
    one signs for a day more if it `keeps_old_secret`."""

    name: str | None = None
    url: str | None = None
    events: tuple[Event, ...] | None = None
    is_on: bool | None = None
    rotates_secret: bool = False
    keeps_old_secret: bool = False

    def __repr__(self) -> str:
        return "<WebhookChange>"


class WebhookStore:
    """The webhooks of all accounts. Raises VaultFailed where secrets cannot be sealed or opened."""

    def __init__(self, store: Store, vault: Vault, deliveries: DeliveryTasks) -> None:
        self.store = store
        self._vault = vault
        self._delivery_tasks = deliveries

    async def add(
        self, account: str, name: str, url: str, events: tuple[Event, ...], act: Act | None = None
    ) -> ReadableWebhook:
        """Add a webhook. Its id is the subject of the act, if there is one. Raises InvalidRequest for a
        refused URL, NotAllowed at the limit."""
        self._check_is_on()
        target, now = await self._read_target(account, url), await self.store.now()
        id_ = act.subject if act else new_id("hook")
        seal = WebhookSeal(name=name, url=url, secret=signing.new_secret())
        sealed = await self._vault.seal_record(account, id_, seal)
        record = WebhookRecord(
            id=id_,
            account=account,
            host=target.host,
            events=_sorted(events),
            created=now,
            changed=now,
            wrapped=sealed.wrapped,
            sealed=sealed.sealed,
        )
        most = self._delivery_tasks.section.most
        if not await records.add_webhook(self.store, record, most, act):
            raise NotAllowed(
                f"An account has {most} webhooks at most; delete one first.", code="too_many_webhooks"
            )
        return ReadableWebhook(record, seal)

    async def find_webhook(self, account: str | None, id_: str) -> ReadableWebhook:
        """Return a webhook of this account; without one, of any. Raises NotFound."""
        return self.open(await self.find_row(account, id_))

    async def find_row(self, account: str | None, id_: str) -> WebhookRecord:
        """Return the row of a webhook. Its seal is not opened, so it may be broken. Raises NotFound."""
        record = await records.get(self.store, account, id_) if id_.isprintable() else None
        if record is None:
            raise _not_found(id_)
        return record

    def open(self, record: WebhookRecord) -> ReadableWebhook:
        return ReadableWebhook(
            record, self._vault.open_record(record.account, record.id, record.seal, WebhookSeal)
        )

    def open_listed(self, record: WebhookRecord) -> ReadableWebhook:
        """Open a listed webhook. If no key opens its seal, its sealed fields are left out."""
        try:
            return self.open(record)
        except VaultFailed as error:
            _log.error("webhook.open.failed", webhook=record.id, reason=str(error))
            return ReadableWebhook(record, WebhookSeal(name="", url="", secret=""))

    async def change(
        self, account: str | None, id_: str, change: WebhookChange, act: Act | None = None
    ) -> ReadableWebhook:
        """Change a webhook. Raises NotFound, InvalidRequest, and Conflict with another change."""
        for _ in range(_TRIES):
            old = await self.find_webhook(account, id_)
            new = await self._apply_change(old, change)
            if await records.replace_webhook(self.store, old.record, new.record, act):
                return new
        raise Conflict("The webhook is being changed by others. Try again.")

    async def delete(self, id_: str, act: Act | None = None) -> None:
        """Delete a webhook with its deliveries. Raises NotFound."""
        if not await records.delete_webhook(self.store, id_, act):
            raise _not_found(id_)

    async def test(self, webhook: WebhookRecord, event: Event, act: Act | None = None) -> WebhookDelivery:
        """Send a sample of an event once, now, and return its result. Raises RateLimited if too many of the
        account's are under way, NoPlace if too many of others are."""
        self._check_is_on()
        sample = deliveries.new_sample(webhook, event, await self.store.now(), LEASE_S)
        if not self._delivery_tasks.may_start(sample):
            raise self._full_failure(sample)
        task = await self._delivery_tasks.begin_new(sample, act)
        await asyncio.wait([task])
        ended = await deliveries.get(self.store, None, sample.id)
        if ended is None:
            raise _not_found(webhook.id)
        return ended

    async def find_delivery(self, account: str | None, id_: str) -> WebhookDelivery:
        """Return a delivery of this account; without one, of any. Raises NotFound."""
        delivery = await deliveries.get(self.store, account, id_) if id_.isprintable() else None
        if delivery is None:
            raise NotFound(f"The delivery '{id_[:80]}' does not exist.", code="delivery_not_found")
        return delivery

    async def resend(self, delivery: WebhookDelivery, act: Act | None = None) -> WebhookDelivery:
        """Send an ended delivery again. Raises Conflict."""
        self._check_is_on()
        webhook = await records.get(self.store, None, delivery.webhook)
        if webhook is not None and webhook.off_reason:
            raise Conflict("Its webhook is off; turn it on first.")
        if not await deliveries.requeue(self.store, delivery.id, act):
            raise Conflict("The delivery is still being tried.")
        self._delivery_tasks.look_now()
        return await self.find_delivery(None, delivery.id)

    def _full_failure(self, sample: WebhookDelivery) -> RateLimited | NoPlace:
        if self._delivery_tasks.full_limits() & own_limits(sample).keys():
            return RateLimited(
                "Too many deliveries to your webhooks are under way. Try again when one has ended.",
                retry_after_s=_RETRY_S,
            )
        return NoPlace("deliveries to this webhook")

    def _check_is_on(self) -> None:
        if not self._delivery_tasks.section.on:
            raise NotAllowed("This server sends no webhooks: [webhooks] is off.", code="webhooks_off")

    async def _read_target(self, account: str, url: str) -> rules.Target:
        try:
            target = rules.read_url(url)
            fault = rules.target_fault(target, await self._delivery_tasks.allowed_hosts(account))
            if fault is not None:
                fault += ", unless the operator allows its host ([webhooks] allow)"
        except ValueError as error:
            fault = str(error)
        if fault is not None:
            raise InvalidRequest(f"Invalid value for 'url': {fault}.", param="url")
        return target

    async def _apply_change(self, old: ReadableWebhook, change: WebhookChange) -> ReadableWebhook:
        record, seal, now = old.record, old.seal, await self.store.now()
        if change.name is not None:
            seal = msgspec.structs.replace(seal, name=change.name)
        if change.url is not None:
            target = await self._read_target(record.account, change.url)
            seal = msgspec.structs.replace(seal, url=change.url)
            record = msgspec.structs.replace(record, host=target.host, failing_since=None)
        if change.events is not None:
            record = msgspec.structs.replace(record, events=_sorted(change.events))
        if change.is_on is not None and change.is_on != (not record.off_reason):
            off_reason = "" if change.is_on else TURNED_OFF_BY_OWNER
            record = msgspec.structs.replace(record, off_reason=off_reason, failing_since=None)
        if change.rotates_secret:
            older, until = (seal.secret, now + _OLD_SECRET_US) if change.keeps_old_secret else ("", 0)
            seal = msgspec.structs.replace(seal, secret=signing.new_secret(), older=older, older_until=until)
        sealed = await self._vault.seal_record(record.account, record.id, seal)
        # `changed` always rises: `replace_webhook` compares it with the row.
        record = msgspec.structs.replace(
            record, changed=max(now, record.changed + 1), wrapped=sealed.wrapped, sealed=sealed.sealed
        )
        return ReadableWebhook(record, seal)


def _sorted(events: tuple[Event, ...]) -> tuple[Event, ...]:
    return tuple(sorted(set(events)))


def _not_found(id_: str) -> NotFound:
    return NotFound(f"The webhook '{id_[:80]}' does not exist.", code="webhook_not_found")
