"""The entry of the feature mail in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial

from proxy.config.config_toml import Config
from proxy.config.finding import Finding
from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext
from proxy.features.mail import records
from proxy.telemetry.background import repeat

_TIDY_S = 3600.0


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.mail.mails import Mails
    from proxy.features.webhooks.delivery_tasks import DeliveryTasks
    from proxy.file_store.vault import Vault

    ca_file = context.config_at_start.upstream.ca_file
    mails = Mails(context.store, context.find(Vault), context.limits, ca_file, context.metrics.registry)
    mails.front = context.find_shared_or(mails.front)
    mails.revise(context.config_at_start)
    context.find(DeliveryTasks).mail_statements = mails.notice_statements

    def additions_for(revision: RevisionContext) -> Additions:
        mails.revise(revision.config)
        return Additions()

    # A command sends no waiting mails: its server does, when it is back.
    task_kinds = () if context.engines is None else (mails,)
    tidying = partial(repeat, "deletion of old mails", mails.tidy, _TIDY_S, context.metrics, tidies=True)
    yield FeatureInstance(
        context.with_shared(mails), additions_for, task_kinds=task_kinds, tasks_of_one_server=(tidying,)
    )


def _check_server(config: Config) -> Iterator[Finding]:
    from proxy.features.mail.mail_check import check_server

    yield from check_server(config)


FEATURE = Feature("mail", _open, tables=(records.TABLE,), doctor=(("mail", _check_server),))
