"""The admin handlers without a server: on the store itself, under the lock of the data folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx2

from proxy import api_admin
from proxy.access.callers import Callers
from proxy.access.usage_throttle import UsageThrottle
from proxy.catalogue.library import Library
from proxy.catalogue.library_editor import LibraryEditor
from proxy.config.config_toml import Config
from proxy.engines import registry
from proxy.engines.registry import Registry
from proxy.http.layers import control_app
from proxy.kept import open_answers
from proxy.kept.vault import Vault, open_vault
from proxy.ledger import open_ledger
from proxy.processes import runtime
from proxy.provenance.checker import open_checker
from proxy.speech.cache import Cache, open_cache
from proxy.storage import bindings, open_store
from proxy.storage.store import Store
from proxy.telemetry.metrics import Metrics
from proxy.voices.clone_orders import CloneOrders
from proxy.voices.derived_things import DerivedThings
from proxy.voices.erasure import Erasure, open_erasure
from proxy.voices.erasure_journal import ErasureJournal
from proxy.voices.owned_voices import open_voice_work, wire_voices


@asynccontextmanager
async def direct_transport(config: Config) -> AsyncIterator[httpx2.AsyncBaseTransport]:
    """Give a transport to the handlers. Raise DataHeld if a server has the data folder."""
    data = Path(config.data)
    with runtime.locked(data):
        async with open_store(config.storage.url, data) as store:
            metrics = Metrics()
            async with (
                open_ledger(store, metrics) as ledger,
                open_cache(config, store, _no_revision, metrics) as cache,
                open_vault(store, data, config.vault, metrics) as vault,
                _open_erasure(config, store, vault, cache, metrics) as erasure,
                open_voice_work(store, vault, _comparers(config), config, metrics) as voice_work,
                open_checker(voice_work.decoder, store, config) as checker,
            ):
                admin_tools = api_admin.AdminTools(
                    store, ledger, Callers(store), config, UsageThrottle(), cache, vault, erasure
                )
                library = Library(store, vault, config.lexicons)
                library_editor = LibraryEditor(store, vault, library, cache, config.voices)
                owned = wire_voices(library_editor, voice_work, erasure, CloneOrders(store))
                endpoints = api_admin.record_routes(admin_tools, owned, checker)
                yield httpx2.ASGITransport(app=control_app(endpoints, metrics))


async def replay_erasures(config: Config) -> int:
    """Erase in a restored database what was erased since its backup. Return how many erasures that were.

    The caller holds the data folder. A database that has seen every erasure is not even opened.
    """
    if not ErasureJournal(Path(config.data)).read():
        return 0
    metrics = Metrics()
    async with (
        open_store(config.storage.url, Path(config.data)) as store,
        open_cache(config, store, _no_revision, metrics) as cache,
        open_vault(store, Path(config.data), config.vault, metrics) as vault,
        _open_erasure(config, store, vault, cache, metrics) as erasure,
    ):
        return erasure.replayed


@asynccontextmanager
async def _open_erasure(
    config: Config, store: Store, vault: Vault, cache: Cache, metrics: Metrics
) -> AsyncIterator[Erasure]:
    data = Path(config.data)
    async with (
        open_answers(store, data, config.server, metrics) as answers,
        open_erasure(store, vault, data, metrics) as erasure,
    ):
        erasure.things = DerivedThings(
            (), (cache, answers), erasure.things.drop, partial(bindings.is_gone, store)
        )
        if not store.is_shared:
            # A killed server may have left some. On a shared database, other servers may be at them.
            await erasure.finish_left_over()
        yield erasure


def _no_revision(_front_end: str) -> str:
    """Return no revision: nothing is spoken here."""
    return ""


def _comparers(config: Config) -> Registry:
    """Return the installed plugins if a comparer is needed. To load them takes a while."""
    return registry.load() if config.consent.comparer else Registry({}, [])
