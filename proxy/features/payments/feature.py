"""The feature payments, as the list of all has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import AppContext, Feature, FeatureInstance
from proxy.features.payments import records
from proxy.features.payments.income import PaymentSums


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    yield FeatureInstance(context.sharing(PaymentSums(context.store)))


FEATURE = Feature("payments", _open, tables=records.TABLES)
