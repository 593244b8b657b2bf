"""The entry of the feature jobs in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import AppContext, Feature, FeatureInstance
from proxy.features.jobs.check import check_ceilings, check_trainings
from proxy.features.jobs.core.paces import TABLE as PACES
from proxy.features.jobs.core.records import TABLES
from proxy.features.jobs.core.uploads import TABLES as FILE_TABLES
from proxy.features.jobs.kinds.training.records import TABLE as TRAININGS
from proxy.features.jobs.remote.records import TABLES as RUN_TABLES


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.jobs.open_jobs import open_jobs

    async with open_jobs(context) as opened:
        yield opened


# TRAININGS comes first: its SQL for a closed account reads jobs, which the SQL of the next tables deletes.
_TABLES = (TRAININGS, *TABLES, *FILE_TABLES, PACES, *RUN_TABLES)
FEATURE = Feature(
    "jobs",
    _open,
    tables=_TABLES,
    paths=("/v1/jobs", "/admin/jobs", "/v1/files", "/v1/batches"),
    checks=(check_trainings, check_ceilings),
)
