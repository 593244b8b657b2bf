"""The feature users, as the list of all has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import AppContext, Feature, FeatureInstance
from proxy.features.users import records


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.mail.mails import Mails

    directory = records.UserDirectory(context.store)
    context.find(Mails).recipients = directory.recipients
    yield FeatureInstance(context.sharing(directory))


FEATURE = Feature("users", _open, tables=(records.USERS, records.SIGN_INS, records.SESSIONS))
