"""Opens the vault, which most features find, and the stored answers. It is never off."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.vault.idempotency import Idempotency
    from proxy.features.vault.rotation import VaultRotation
    from proxy.file_store.objects import check_objects
    from proxy.file_store.shared_answers import open_answers
    from proxy.file_store.vault import open_vault

    config, store, metrics = context.config_at_start, context.store, context.metrics
    data = Path(config.data)
    async with (
        open_vault(store, data, config.vault, metrics) as vault,
        open_answers(store, data, config.server, vault, metrics) as answers,
    ):
        if config.vault.store and context.engines is not None:
            await check_objects(vault.objects)

        def additions_for(revision: RevisionContext) -> Additions:
            answers.limit_to(revision.config.server.idempotency_mb)
            vault.revise(revision.config.vault)
            return Additions(VaultRotation(revision.admin_tools, vault).endpoints)

        idempotency = Idempotency(answers, metrics, context.ledger)
        tidying = (partial(vault.keep_tidy, metrics),) if vault.is_shared else ()
        yield FeatureInstance(
            context.with_shared(vault).with_shared(idempotency),
            additions_for,
            tasks_of_one_server=tidying,
            files=(answers,),
        )


FEATURE = Feature("vault", _open, paths=("/admin/vault",))
