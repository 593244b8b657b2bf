"""The entry of the feature history in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from proxy.config.config_toml import Config
from proxy.config.finding import Finding, ProbeResults, ok
from proxy.engines.registry import Registry
from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext
from proxy.features.history.records import TABLE
from proxy.features.history.retention import HistoryRetention, stored_days
from proxy.features.history.section import SECTION
from proxy.speech.speaking import SpeechAdditions


def check_history(config: Config, _registry: Registry, _results: ProbeResults) -> list[Finding]:
    section = SECTION.of(config)
    found = f"up to {section.account_mb} MB of an account, for {section.days:g} day(s) or those of its plan"
    is_on = stored_days(config).longest_us > 0
    return [ok("history", found if is_on else "nothing is kept", name="on request" if is_on else "none")]


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.history.endpoints import History
    from proxy.features.history.observer import HistoryObservers
    from proxy.features.history.records import HistoryStore
    from proxy.features.history.writing import HistoryEntries, HistoryWriter
    from proxy.file_store.vault import Vault

    store = HistoryStore(context.store, context.find(Vault))
    retention = HistoryRetention(store, context.metrics, stored_days(context.config_at_start))
    async with aclosing(HistoryWriter(store, context.metrics.registry)) as writer:
        entries = HistoryEntries(writer)

        def additions_for(revision: RevisionContext) -> Additions:
            section, stored = SECTION.of(revision.config), stored_days(revision.config)
            writer.section = section
            retention.stored = entries.stored = stored
            return Additions(
                History(store, section, stored).endpoints,
                speech=SpeechAdditions((HistoryObservers(writer, stored).opener,)),
            )

        yield FeatureInstance(
            context.with_shared(entries), additions_for, tasks_of_one_server=(retention.run,), files=(store,)
        )


FEATURE = Feature(
    "history",
    _open,
    tables=(TABLE,),
    paths=("/v1/history",),
    text_checks=(check_history,),
)
