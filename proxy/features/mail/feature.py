"""The feature mail, as the list of all has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext
from proxy.features.mail import records
from proxy.features.mail.section import SECTION


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.mail.mails import Mails

    mails = Mails(context.store, context.vault)
    mails.section = SECTION.of(context.config_at_start)

    def at(revision: RevisionContext) -> Additions:
        mails.section = SECTION.of(revision.config)
        return Additions()

    # A command sends no waiting mails: its server does, when it is back.
    task_kinds = () if context.engines is None else (mails,)
    yield FeatureInstance(context.sharing(mails), at, task_kinds=task_kinds)


FEATURE = Feature("mail", _open, tables=(records.TABLE,))
