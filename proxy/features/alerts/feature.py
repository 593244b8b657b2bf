"""The entry of the feature alerts in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from proxy.config.config_toml import Config
from proxy.config.finding import Finding, ProbeResults, wrong
from proxy.engines.registry import Registry
from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext
from proxy.features.alerts import records
from proxy.features.alerts.section import SECTION
from proxy.features.mail.section import SECTION as MAIL


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.alerts.endpoints import Alerts
    from proxy.features.alerts.watch import HasTroubles, Watch
    from proxy.features.mail.mails import Mails

    mails, watch = context.find(Mails), None
    if context.engines is not None:
        data = Path(context.config_at_start.data)
        sources = [each for each in context.shared if isinstance(each, HasTroubles)]
        watch = Watch(context.store, mails, context.engines, data, sources, context.cluster)

    def additions_for(revision: RevisionContext) -> Additions:
        section = SECTION.of(revision.config)
        if watch is not None:
            watch.section, watch.budgets = section, revision.budgets
        return Additions(Alerts(revision.admin_tools, mails, section).endpoints)

    tasks = () if watch is None else (partial(watch.run, context.metrics),)
    yield FeatureInstance(context, additions_for, tasks_of_each_server=tasks)


def _check(config: Config, _registry: Registry, _results: ProbeResults) -> Iterator[Finding]:
    if SECTION.of(config).mail and not MAIL.of(config).url:
        yield wrong("alerts", "alerts.mail has addresses, but there is no [mail]", "set [mail] url and from")


FEATURE = Feature(
    "alerts",
    _open,
    tables=(records.TABLE,),
    paths=("/admin/alerts",),
    checks=(_check,),
)
