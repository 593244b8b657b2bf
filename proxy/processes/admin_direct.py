"""The admin handlers without a server: on the store itself, under the lock of the data folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2

from proxy.catalogue.erasing import DerivedData
from proxy.config.addresses import is_postgres
from proxy.config.config_toml import Config
from proxy.engines import registry
from proxy.engines.plugin_instances import names_of_engines
from proxy.engines.registry import Registry
from proxy.feature import OpenFeatures, RevisionContext, closed_paths, open_features
from proxy.feature_list import all_features, all_tables, features_of, open_store
from proxy.file_store import data_folder
from proxy.http.closed_paths import ClosedPaths
from proxy.http.endpoint import admin_endpoints
from proxy.http.layers import control_app
from proxy.kernel import Kernel, open_kernel
from proxy.storage.store import Statement


@asynccontextmanager
async def direct_transport(config: Config) -> AsyncIterator[httpx2.AsyncBaseTransport]:
    """Yield a transport to the admin handlers. Raise DataHeld if a server has the data folder."""
    with data_folder.lock_data_folder(Path(config.data)):
        async with _open_features(config) as (kernel, opened):
            context = opened.context
            admin_tools = context.admin_tools(lambda: names_of_engines(registry.load(), config))
            served = opened.additions_for(
                RevisionContext(config, admin_tools, context.library(config), context)
            )
            endpoints = [*admin_endpoints(served.endpoints), *served.for_commands]
            closed = ClosedPaths(closed_paths(all_features(), config))
            yield httpx2.ASGITransport(app=control_app(endpoints, kernel.metrics, closed))


async def replay_erasures(config: Config) -> int:
    """Repeat in a restored database the erasures since its backup. Return their number.

    The caller holds the data folder. A database that has seen every erasure is not even opened, except
    PostgreSQL's, where sessions end here: it was restored by its own tool.
    """
    if is_postgres(config.storage.url):
        async with open_store(config.storage.url, Path(config.data)) as store:
            await store.write(*(Statement(sql) for table in store.tables for sql in table.restored_with))
    # The journal of a shared vault is in the vault.
    files = [Path(config.data) / each.name for feature in all_features() for each in feature.backed_up]
    if not config.vault.is_shared and not any(file.exists() and file.stat().st_size for file in files):
        return 0
    async with _open_features(config) as (_kernel, opened):
        return opened.context.erasing.replayed


@asynccontextmanager
async def _open_features(config: Config) -> AsyncIterator[tuple[Kernel, OpenFeatures]]:
    """Open the server's context without engines, and finish the erasures that a killed server has left."""
    # Plugins take a while to load, so they are loaded only if a feature needs them.
    needs_plugins = any(feature.needs_plugins(config) for feature in all_features())
    plugins = registry.load() if needs_plugins else Registry({}, [])
    async with (
        open_kernel(config, plugins, all_tables()) as kernel,
        open_features(kernel.context(), features_of(config), all_features()) as opened,
    ):
        opened.set_derived_things(DerivedData())
        for kind in opened.task_kinds:
            await kind.finish_interrupted()
        yield kernel, opened
