"""The entry of the feature webhooks in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext
from proxy.features.webhooks import deliveries, records
from proxy.features.webhooks.section import SECTION
from proxy.telemetry.background import repeat

_TIDY_S = 3600.0


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.webhooks.delivery_tasks import DeliveryTasks
    from proxy.features.webhooks.endpoints import Webhooks
    from proxy.features.webhooks.sender import Sender
    from proxy.features.webhooks.webhook_store import WebhookStore
    from proxy.file_store.vault import Vault

    sender = Sender(context.config_at_start.upstream.ca_file)
    vault = context.find(Vault)
    delivery_tasks = DeliveryTasks(context.store, vault, sender, context.metrics.registry)
    delivery_tasks.section = SECTION.of(context.config_at_start)
    webhooks = WebhookStore(context.store, vault, delivery_tasks)

    def additions_for(revision: RevisionContext) -> Additions:
        delivery_tasks.section = SECTION.of(revision.config)
        return Additions(Webhooks(revision.admin_tools, webhooks).endpoints)

    # A command sends no waiting deliveries: its server does, when it is back.
    task_kinds = () if context.engines is None else (delivery_tasks,)
    name = "deletion of old deliveries"
    tidying = partial(repeat, name, delivery_tasks.tidy, _TIDY_S, context.metrics, tidies=True)
    yield FeatureInstance(
        context.with_shared(delivery_tasks),
        additions_for,
        task_kinds=task_kinds,
        tasks_of_one_server=(tidying,),
    )


FEATURE = Feature(
    "webhooks",
    _open,
    tables=(records.TABLE, deliveries.TABLE),
    paths=(
        "/v1/webhook_event_types",
        "/v1/webhook_endpoints",
        "/admin/webhook_endpoints",
        "/v1/webhook_deliveries",
        "/admin/webhook_deliveries",
    ),
)
