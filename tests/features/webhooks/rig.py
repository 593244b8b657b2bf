"""A courier with its keeper on a store, whose time is shifted by hand."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from prometheus_client import CollectorRegistry

from proxy.config.sections import VaultSection
from proxy.engines.http.http1 import LookUp
from proxy.features.webhooks import deliveries, records
from proxy.features.webhooks.deliveries import WebhookDelivery
from proxy.features.webhooks.delivery_tasks import DeliveryTasks
from proxy.features.webhooks.records import Event, WebhookRecord
from proxy.features.webhooks.rules import DAY_US
from proxy.features.webhooks.section import WebhookSection
from proxy.features.webhooks.sender import Sender
from proxy.features.webhooks.webhook_store import ReadableWebhook, WebhookStore
from proxy.file_store.vault import Vault, open_vault
from proxy.storage import accounts
from proxy.storage.rows import NEWEST
from proxy.storage.store import Statement, Store
from proxy.telemetry.metrics import Metrics

ON = WebhookSection(on=True, allow=("127.0.0.1",))
READY: Event = "voice.clone.ready"
_SHIFTS = (
    "UPDATE webhook_deliveries SET due = due - :us, answered = answered - :us",
    "UPDATE webhook_deliveries SET began = began - :us WHERE began > 0",
    "UPDATE webhooks SET failing_since = failing_since - :us",
)


class WebhookRig(NamedTuple):
    store: Store
    vault: Vault
    delivery_tasks: DeliveryTasks
    webhooks: WebhookStore
    metrics: Metrics

    async def account(self, name: str = "ada") -> str:
        return (await accounts.create(self.store, name=name, plan="unlimited")).id

    async def webhook(
        self, account: str, url: str, events: tuple[Event, ...] = (READY, "voice.clone.failed")
    ) -> ReadableWebhook:
        return await self.webhooks.add(account, "mine", url, events)

    async def listening(self, url: str) -> tuple[str, ReadableWebhook]:
        """Return a new account, and its webhook."""
        account = await self.account()
        return account, await self.webhook(account, url)

    async def told(self, url: str) -> tuple[str, ReadableWebhook]:
        """Return them after a first event, which was sent."""
        account, webhook = await self.listening(url)
        await self.tell(account)
        await self.step()
        return account, webhook

    async def tell(self, account: str, event: Event = READY, data: Mapping[str, str] | None = None) -> None:
        now = await self.store.now()
        await self.store.write(*self.delivery_tasks.statements(account, event, data or {"id": "bind_1"}, now))

    async def step(self) -> None:
        await self.delivery_tasks.look()
        await self.delivery_tasks.finish()

    async def later(self, days: float = 0.05) -> None:
        """So much later, look again."""
        await self.shift(days)
        await self.step()

    async def shift(self, days: float) -> None:
        us = round(days * DAY_US)
        await self.store.write(*(Statement(sql, {"us": us}) for sql in _SHIFTS))

    async def deliveries(self, webhook: ReadableWebhook) -> list[WebhookDelivery]:
        return await deliveries.page(self.store, webhook.id, NEWEST, 100)

    async def row(self, webhook: ReadableWebhook) -> WebhookRecord:
        found = await records.get(self.store, None, webhook.id)
        assert found is not None
        return found

    def ended(self, result: str) -> float:
        name = "voxgate_webhook_deliveries_total"
        return self.metrics.registry.get_sample_value(name, {"result": result}) or 0.0


def quiet_courier(store: Store) -> DeliveryTasks:
    """Return one that sends nothing by itself."""
    return DeliveryTasks(store, Vault(store, VaultSection(), Path()), Sender(), CollectorRegistry())


@asynccontextmanager
async def webhook_rig(
    store: Store, folder: Path, section: WebhookSection = ON, look_up: LookUp | None = None
) -> AsyncIterator[WebhookRig]:
    metrics = Metrics()
    async with open_vault(store, folder, VaultSection(), metrics) as vault:
        delivery_tasks = DeliveryTasks(store, vault, Sender(look_up=look_up), metrics.registry)
        delivery_tasks.section = section
        try:
            yield WebhookRig(
                store, vault, delivery_tasks, WebhookStore(store, vault, delivery_tasks), metrics
            )
        finally:
            await delivery_tasks.close()
